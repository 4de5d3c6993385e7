import { join } from "node:path";
import pg from "pg";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { openConnections } from "../database/connections.ts";
import { migrateDatabase } from "../database/migrate.ts";
import { watchCurrentMigration } from "../database/watch.ts";
import { DEMO_OPERATOR, DEMO_PASSWORD, DEMO_USER, seedDemo } from "../demo.ts";
import { startApi } from "../http/api-server.ts";
import { type FcmEmulator, startFcmEmulator } from "../push/emulator/emulator.ts";
import { startWorker } from "../tasks/worker.ts";
import { runProcess } from "./run.ts";

/** How long the demo push may take, milliseconds, before its absence is said. */
const DEMO_PATIENCE = 10_000;

/** `npm start`: everything on this machine, in one process. `--watch`: follows current.sql. */
export function main(): Promise<void> {
  const watch = process.argv.includes("--watch");
  return runProcess("start", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const databaseUrl = connections.ownerUrl;
    if (databaseUrl === undefined) throw new Error("DATABASE_URL must be set.");
    const { authenticatorPassword } = connections;
    await migrateDatabase({ databaseUrl, authenticatorPassword, logger, current: !watch });

    const emulator = await startEmulatorIfNeeded(config);
    if (emulator) stack.defer(() => emulator.close());
    const local = emulator ? { ...config, fcmEmulatorHost: emulator.host } : config;
    // Both are waited for even where one fails: what has started must be there to be stopped.
    const [apiStart, workerStart] = await Promise.allSettled([
      startApi({
        config: local,
        connections,
        logger,
        watch,
        development: {
          demo: { identifier: DEMO_OPERATOR, password: DEMO_PASSWORD },
          phonesUrl: emulator?.url,
          graphiql: config.graphiql,
        },
      }),
      startWorker({ config: local, databaseUrl, logger }),
    ]);
    for (const started of [workerStart, apiStart]) {
      if (started.status === "fulfilled") stack.defer(() => started.value.stop());
    }
    if (apiStart.status === "rejected") throw apiStart.reason;
    if (workerStart.status === "rejected") throw workerStart.reason;
    const { value: api } = apiStart;
    const { value: worker } = workerStart;
    if (watch) {
      const watcher = await watchCurrentMigration(databaseUrl, logger);
      stack.defer(() => watcher.stop());
    }
    announce(config, api.url, { api: api.opsUrl, worker: worker.opsUrl }, emulator);
    await welcome(databaseUrl, emulator, logger);
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync() };
  });
}

/** Our own emulator stands in for Google unless the settings name somebody. */
async function startEmulatorIfNeeded(config: Config): Promise<FcmEmulator | undefined> {
  if (config.fcmEmulatorHost !== undefined || config.firebaseServiceAccount !== undefined) {
    return undefined;
  }
  return startFcmEmulator({ host: config.api.host, port: config.fcmEmulatorPort });
}

function announce(
  config: Config,
  url: string,
  ops: { api: string; worker: string },
  emulator: FcmEmulator | undefined,
): void {
  const variables = JSON.stringify({
    query: `mutation { logIn(input: {identifier: "${DEMO_USER}", password: "${DEMO_PASSWORD}"}) { tokens { accessToken } } }`,
  });
  const lines: [string, string][] = [
    ["API", `${url}/graphql`],
    ...(config.graphiql ? ([["GraphiQL", `${url}/graphiql`]] as [string, string][]) : []),
    ["Console", `${url}/console`],
    ["Ops", `${ops.api}/ready, ${ops.worker}/ready`],
    ...(emulator ? ([["Phones", `${emulator.url}/phones`]] as [string, string][]) : []),
    ["Mails, SMS", `${join(config.dataDirectory, "mail")}, ${join(config.dataDirectory, "sms")}`],
    ["Log in as", `${DEMO_USER} or ${DEMO_OPERATOR}, password ${DEMO_PASSWORD}`],
    ["First call", `curl ${url}/graphql -H 'Content-Type: application/json' -d '${variables}'`],
  ];
  console.log(`\nHowdah is up.\n`);
  for (const [name, value] of lines) console.log(`  ${name.padEnd(11)} ${value}`);
  console.log();
}

/** On the first run: demo data, and the proof that a push arrives. */
async function welcome(
  databaseUrl: string,
  emulator: FcmEmulator | undefined,
  logger: Logger,
): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  try {
    const demo = await seedDemo(pool);
    if (!demo || !emulator) return;
    const push = await emulator.phones.nextMessage(demo.phone, DEMO_PATIENCE);
    const { title, body } = push.message.notification as { title: string; body: string };
    console.log(`delivered 1 push: "${title}: ${body}" to phone ${demo.phone} (${push.name})\n`);
  } catch (error) {
    logger.error({ error }, "the demo push did not arrive");
  } finally {
    await pool.end();
  }
}
