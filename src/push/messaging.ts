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
import { LANES, SLOW_MESSAGES } from "./lanes.ts";

export type MessagingConfig =
  | { kind: "google"; serviceAccountPath?: string }
  | { kind: "emulator"; host: string };

/** Connections to FCM at most: HTTP/1.1 carries one message at a time on each. */
const SOCKETS = LANES + SLOW_MESSAGES;

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

/** What FCM said of a message, or why nothing was heard. */
export type Answered =
  | { success: true; messageId: unknown }
  /** isUnsent: it was refused here, and nothing of it has left. */
  | { success: false; error: unknown; isUnsent?: boolean };

/** A message on its way. */
export interface Sending {
  /** A refusal is an answer like any other; never rejects. */
  answer: Promise<Answered>;
  /** Nobody waits for it any more: it is not sent where it has not been, and hung up on where it has. */
  giveUp(): void;
}

/**
 * Sends one message, once. The SDK would ask again by itself, up to four times and after a minute's sleep, where a
 * connection breaks or FCM says 503: whether and when it is repeated is the ledger's to say.
 */
export function sendMessage(messaging: Messaging, build: () => Message): Sending {
  const request: Request = { isOver: false };
  const given = Promise.withResolvers<Answered>();

  async function send(): Promise<Answered> {
    let sent: Promise<string>;
    try {
      const message = build();
      sent = requests.run(request, () => messaging.send(message));
    } catch (error) {
      return { success: false, error, isUnsent: true };
    }
    try {
      return { success: true, messageId: await sent };
    } catch (error) {
      const { headers } = (error as { httpResponse?: { headers?: Headers } }).httpResponse ?? {};
      if (headers && request.hasHurried) headers["retry-after"] = request.retryAfter;
      return { success: false, error };
    }
  }

  void send().then(given.resolve);
  return {
    answer: given.promise,
    giveUp() {
      request.isOver = true;
      given.resolve({ success: false, error: new Error("Nobody waits for this any more.") });
      request.http?.destroy();
    },
  };
}

type Headers = Record<string, unknown>;

/** The one HTTP request that a message may make. */
interface Request {
  /** It was made, or may not be made any more. */
  isOver: boolean;
  http?: ClientRequest;
  /** What FCM said, where the SDK was told something else. */
  hasHurried?: boolean;
  retryAfter?: string | undefined;
}

/** The message that is being sent. */
const requests = new AsyncLocalStorage<Request>();

/** Lets each message make one request. */
class OnceAgent extends Agent {
  // Node.js calls this for each request, in the context of who makes it.
  addRequest(http: ClientRequest, ...rest: unknown[]): void {
    const request = requests.getStore();
    if (request?.isOver) {
      // As an agent says that there is no socket to be had.
      const refused = new Error("No answer came; a message is sent once.");
      // biome-ignore lint/suspicious/noExplicitAny: the types know a socket only
      (http as any).onSocket(null, refused);
      return;
    }
    if (request) {
      request.isOver = true;
      request.http = http;
      http.once("response", ({ statusCode, headers }) => {
        if (statusCode !== 503) return;
        // The SDK hands a 503 on at once only where it is to wait for longer than a minute.
        request.hasHurried = true;
        request.retryAfter = headers["retry-after"];
        headers["retry-after"] = "3600";
      });
    }
    // biome-ignore lint/suspicious/noExplicitAny: not in the types, though agents are made of it
    (Agent.prototype as any).addRequest.call(this, http, ...rest);
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
