import { startFcmEmulator } from "../push/emulator/emulator.ts";
import { runProcess } from "./run.ts";

/** `npm run fcm-emulator`. */
export function main(): Promise<void> {
  return runProcess("fcm-emulator", async (config) => {
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
