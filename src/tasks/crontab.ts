/** What runs by the clock: minute, hour, day, month, weekday, task (UTC). */
export const CRONTAB = `
17 * * * * delete_expired ?jobKey=delete_expired&max=3
43 3 * * * keep_ledger ?jobKey=keep_ledger&max=3
`;
