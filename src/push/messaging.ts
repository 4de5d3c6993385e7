import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ClientRequest } from "node:http";
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
      : new OnceAgent({ keepAlive: true, maxSockets: SOCKETS });
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

/**
 * Sends one message; a refusal is an answer like any other, also where the message cannot be built.
 * The SDK asks again by itself, up to four times, where a connection breaks or FCM says 503:
 * `atMostOnce` lets it do so only where FCM has answered.
 */
export async function sendMessage(
  messaging: Messaging,
  build: () => Message,
  atMostOnce = false,
): Promise<Answered> {
  try {
    const send = () => messaging.send(build());
    const messageId = await (atMostOnce ? sending.run({ unanswered: false }, send) : send());
    return { success: true, messageId };
  } catch (error) {
    return { success: false, error };
  }
}

/** The message that is being sent, where it must not be sent twice. */
const sending = new AsyncLocalStorage<{ unanswered: boolean }>();

/** Refuses to send again what may have arrived: nobody knows, because no answer came. */
class OnceAgent extends Agent {
  // Node.js calls this for each request, in the context of who makes it.
  addRequest(request: ClientRequest, ...rest: unknown[]): void {
    const message = sending.getStore();
    if (message?.unanswered) {
      // As an agent says that there is no socket to be had.
      const refused = new Error("No answer came; this message is not sent twice.");
      // biome-ignore lint/suspicious/noExplicitAny: the types know a socket only
      (request as any).onSocket(null, refused);
      return;
    }
    if (message) {
      message.unanswered = true;
      request.once("response", () => {
        message.unanswered = false;
      });
    }
    // biome-ignore lint/suspicious/noExplicitAny: not in the types, though agents are made of it
    (Agent.prototype as any).addRequest.call(this, request, ...rest);
  }
}

function credential(config: MessagingConfig): Credential {
  if (config.kind === "google") {
    return config.serviceAccountPath === undefined
      ? applicationDefault()
      : serviceAccount(config.serviceAccountPath);
  }
  // An emulator is shown no secret: this token is worth nothing anywhere else.
  return { getAccessToken: async () => ({ access_token: "emulated", expires_in: 3600 }) };
}

/** What is wrong with the file is said by the setting's name, and without what is in it. */
function serviceAccount(path: string): Credential {
  const wrong = (what: string, cause?: unknown) =>
    new Error(
      `FIREBASE_SERVICE_ACCOUNT (or GOOGLE_APPLICATION_CREDENTIALS): the file ${what}. It is the JSON that the Firebase console makes under Service accounts.`,
      { cause },
    );
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw wrong(`cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  let account: Record<string, unknown>;
  try {
    account = JSON.parse(text);
  } catch {
    // Its error quotes the text.
    throw wrong("is not JSON");
  }
  const missing = ["project_id", "client_email", "private_key"].filter(
    (name) => typeof account?.[name] !== "string",
  );
  if (missing.length > 0) throw wrong(`has no ${missing.join(", ")}`);
  try {
    return cert(path);
  } catch (error) {
    throw wrong("has a private_key that is none", error);
  }
}

/** Every connection goes to the emulator, whatever host the SDK asked for. */
function emulatorAgent(host: string): Agent {
  const [hostname, port] = host.split(":");
  const agent = new OnceAgent({ keepAlive: true, maxSockets: SOCKETS });
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
