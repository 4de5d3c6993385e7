import { parseArgs } from "node:util";
import { startFcmEmulator } from "../push/emulator/emulator.ts";
import { runProcess } from "./run.ts";

const HELP = `npm run fcm-emulator -- [--host <address>] [--port <number>]

A local Firebase Cloud Messaging, HTTP v1, over TLS: takes what a Firebase Admin SDK sends,
checks it as FCM does, fails as you tell it to, and shows what each phone got.

  --host   where it listens; HOST, or 127.0.0.1
  --port   FCM_EMULATOR_PORT, or 5681; 0 for any
  --help   this

docs/fcm-emulator.md says how to point an SDK at it, and what it can do.`;

/** `npm run fcm-emulator`. */
export async function main(): Promise<void> {
  readOptions();
  await runProcess("fcm-emulator", async (config) => {
    const emulator = await startFcmEmulator({
      host: config.api.host,
      port: config.fcmEmulatorPort,
    });
    console.log(
      `FCM emulator: FCM_EMULATOR_HOST=${emulator.host}, phones at ${emulator.url}/phones`,
    );
    return { stop: () => emulator.close() };
  });
}

/** Options stand in for the settings of the same meaning, which are checked later. */
function readOptions(): void {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      options: { host: text, port: text, help: { type: "boolean" } },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    if (values.host !== undefined) process.env.HOST = values.host;
    if (values.port !== undefined) process.env.FCM_EMULATOR_PORT = values.port;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(1);
  }
}
