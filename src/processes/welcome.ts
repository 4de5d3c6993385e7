import { join } from "node:path";
import pg from "pg";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { DEMO_OPERATOR, DEMO_PASSWORD, DEMO_USER, seedDemo } from "../demo.ts";
import type { SaveLog } from "../http/console-development.ts";
import type { ConsoleDevelopment } from "../http/console-routes.ts";
import { type FcmEmulator, startFcmEmulator } from "../push/emulator/emulator.ts";

/** How long the demo push may take, milliseconds, before its absence is said. */
const DEMO_PATIENCE = 10_000;

/** Our own emulator stands in for Google unless the settings name somebody. */
export async function startEmulatorIfNeeded(config: Config): Promise<FcmEmulator | undefined> {
  if (config.fcmEmulatorHost !== undefined || config.firebaseServiceAccount !== undefined) {
    return undefined;
  }
  return startFcmEmulator({ host: config.api.host, port: config.fcmEmulatorPort });
}

/** What the console shows of this machine. */
export function consoleDevelopment(config: Config, saves?: SaveLog): ConsoleDevelopment {
  const { fcmEmulatorHost, graphiql } = config;
  return {
    demo: { identifier: DEMO_OPERATOR, password: DEMO_PASSWORD },
    phonesUrl: fcmEmulatorHost === undefined ? undefined : `http://${fcmEmulatorHost}`,
    graphiql,
    saves,
  };
}

/** The URLs, the log-ins, and a first call to copy. */
export function announce(
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
    [
      "First call",
      config.persistedOperations?.only
        ? "one of PERSISTED_OPERATIONS: nothing else is taken"
        : `curl ${url}/graphql -H 'Content-Type: application/json' -d '${variables}'`,
    ],
  ];
  console.log(`\nHowdah is up.\n`);
  for (const [name, value] of lines) console.log(`  ${name.padEnd(11)} ${value}`);
  console.log();
}

/** On the first run: demo data, and the proof that a push arrives. */
export async function welcome(
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
