import pg from "pg";

/** Whoever changes the schema takes turns; any number that nothing else locks. */
const MIGRATION_LOCK = 7_305_814;

/** Runs `work` while nobody else migrates this database, with the connection that holds the turn. */
export async function inTurn<T>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: "howdah migrate",
  });
  // A connection that breaks fails its query, too.
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    return await work(client);
  } finally {
    await client.end();
  }
}
