import { randomUUID } from "node:crypto";
import { Agent, type AgentOptions } from "node:https";
import { connect } from "node:tls";
import {
  applicationDefault,
  type Credential,
  cert,
  deleteApp,
  initializeApp,
} from "firebase-admin/app";
import { getMessaging, type Message, type Messaging } from "firebase-admin/messaging";

export type MessagingConfig =
  | { kind: "google"; serviceAccountPath?: string }
  | { kind: "emulator"; host: string };

/** Connections to FCM that are kept open: HTTP/1.1 carries one message at a time on each. */
export const SOCKETS = 64;

/**
 * firebase-admin, unmodified, connected to Google or to an emulator. `sendEach` opens a new HTTP/2
 * session for each call and ignores an agent; the HTTP/1.1 transport keeps its connections, which
 * is quicker and all that an emulator can be reached by.
 */
export function createMessaging(config: MessagingConfig): {
  messaging: Messaging;
  close(): Promise<void>;
} {
  const agent =
    config.kind === "emulator"
      ? emulatorAgent(config.host)
      : new Agent({ keepAlive: true, maxSockets: SOCKETS });
  const app = initializeApp(
    {
      httpAgent: agent,
      credential: credential(config),
      ...(config.kind === "emulator" ? { projectId: "howdah-emulator" } : {}),
    },
    randomUUID(),
  );
  const messaging = getMessaging(app);
  messaging.enableLegacyHttpTransport();
  return {
    messaging,
    async close() {
      await deleteApp(app);
      agent.destroy();
    },
  };
}

/** What FCM said of a message, or that nothing was heard. */
export type Answered = { success: true; messageId: string } | { success: false; error: unknown };

/** Sends one message; a refusal is an answer like any other, also where the message cannot be built. */
export async function sendMessage(messaging: Messaging, build: () => Message): Promise<Answered> {
  try {
    return { success: true, messageId: await messaging.send(build()) };
  } catch (error) {
    return { success: false, error };
  }
}

function credential(config: MessagingConfig): Credential {
  if (config.kind === "google") {
    return config.serviceAccountPath === undefined
      ? applicationDefault()
      : cert(config.serviceAccountPath);
  }
  // An emulator is shown no secret: this token is worth nothing anywhere else.
  return { getAccessToken: async () => ({ access_token: "emulated", expires_in: 3600 }) };
}

/** Every connection goes to the emulator, whatever host the SDK asked for. */
function emulatorAgent(host: string): Agent {
  const [hostname, port] = host.split(":");
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
  agent.createConnection = (_options: AgentOptions) =>
    connect({
      host: hostname as string,
      port: Number(port),
      servername: "localhost",
      // It is not Google: its certificate is its own, and nothing secret goes there.
      rejectUnauthorized: false,
    });
  return agent;
}
