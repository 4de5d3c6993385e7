import type { IncomingMessage, ServerResponse } from "node:http";
import { sendJson, sendStatus } from "./answers.ts";
import type { Emulated } from "./emulator.ts";
import { isObject } from "./parse.ts";
import { credentialsMissing, invalidArgument, REFUSALS } from "./refusals.ts";
import { InvalidArgument } from "./validate.ts";

const V1 = /^\/v1\/projects\/([^/]+)\/registrations\/([^/]+)\/topicSubscriptions(?:\/([^/]+))?$/;
const INSTANCE_ID = /^\/iid\/v1:batch(Add|Remove)$/;

/**
 * Topics as the SDKs' subscribeToTopic manages them: FCM's own interface, and the older one of
 * Instance ID. False where the request is neither.
 */
export function handleSubscription(
  emulated: Emulated,
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
  body: string,
): boolean {
  if (!/^\/(v1|iid)\//.test(url)) return false;
  const { pathname, searchParams } = new URL(url, "https://fcm.googleapis.com");
  const batch = request.method === "POST" ? INSTANCE_ID.exec(pathname)?.[1] : undefined;
  const [match, project = "", token = "", named] = V1.exec(pathname) ?? [];
  const add = match !== undefined && request.method === "POST" && named === undefined;
  const remove = match !== undefined && request.method === "DELETE" && named !== undefined;
  if (batch === undefined && !add && !remove) return false;
  if (!/^Bearer ./i.test(request.headers.authorization ?? "")) {
    sendStatus(response, credentialsMissing());
    return true;
  }
  if (batch !== undefined) subscribeBatch(emulated, batch === "Add", response, body);
  else {
    const topic = named ?? searchParams.get("topic_name") ?? searchParams.get("topicName");
    subscribeOne(emulated, add, project, decodeURIComponent(token), topic, response);
  }
  return true;
}

function subscribeOne(
  { phones, topics }: Emulated,
  add: boolean,
  project: string,
  token: string,
  topic: string | null,
  response: ServerResponse,
): void {
  const target = { kind: "token", name: token } as const;
  if (topic === null) {
    const violation = { field: "topic_name", description: "topic_name is required." };
    sendStatus(response, invalidArgument(new InvalidArgument([violation], "fcm")));
  } else if (phones.isUninstalled(token)) sendStatus(response, REFUSALS.UNREGISTERED());
  else if (token.startsWith("invalid-")) {
    sendStatus(response, REFUSALS.INVALID_ARGUMENT({ target, project }));
  } else {
    const name = decodeURIComponent(topic);
    topics[add ? "subscribe" : "unsubscribe"](token, name);
    const subscription = `projects/${project}/registrations/${token}/topicSubscriptions/${name}`;
    sendJson(response, 200, add ? { name: subscription } : {});
  }
}

function subscribeBatch(
  { phones, topics }: Emulated,
  add: boolean,
  response: ServerResponse,
  body: string,
): void {
  const { to, registration_tokens: tokens } = batchOf(body);
  const topic = typeof to === "string" ? /^\/topics\/(.+)$/.exec(to)?.[1] : undefined;
  if (topic === undefined || !Array.isArray(tokens)) {
    sendJson(response, 400, { error: "InvalidArgument" });
    return;
  }
  const results = tokens.map((token) => {
    if (typeof token !== "string" || token === "") return { error: "INVALID_ARGUMENT" };
    if (phones.isUninstalled(token)) return { error: "NOT_FOUND" };
    topics[add ? "subscribe" : "unsubscribe"](token, topic);
    return {};
  });
  sendJson(response, 200, { results });
}

function batchOf(body: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
