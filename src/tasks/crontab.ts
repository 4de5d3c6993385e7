/** What runs by the clock: minute, hour, day, month, weekday, task (UTC). */
export const CRONTAB = `
* * * * * sweep_deliveries ?jobKey=sweep_deliveries&max=1
17 * * * * delete_expired ?jobKey=delete_expired&max=3
`;
