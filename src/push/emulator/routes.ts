import type { IncomingMessage, ServerResponse } from "node:http";
import { isLocalName } from "../../local-names.ts";
import { sendJson } from "./answers.ts";
import { handleControl } from "./control.ts";
import type { Emulated } from "./emulator.ts";
import { handleToken, TOKEN_PATHS } from "./oauth.ts";
import { handleSend } from "./send.ts";
import { handleSubscription } from "./subscriptions.ts";

/** Longest request body, bytes; FCM's own largest message has a tenth of it. */
const MAX_BODY = 64 * 1024;
const SEND = /^\/v1\/projects\/([^/?]+)\/messages:send(?:\?|$)/;

/** All that the emulator answers; no framework, because it is what benchmarks send to. */
export function createHandler(emulated: Emulated) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    readBody(request, (body) => {
      try {
        if (body === undefined) {
          const message = `The body is longer than ${MAX_BODY} bytes.`;
          const error = { code: 413, message, status: "INVALID_ARGUMENT" };
          sendJson(response, 413, { error }, { connection: "close" });
        } else if (isForeign(request.headers.origin)) {
          const message = "The FCM emulator takes nothing from pages of other machines.";
          sendJson(response, 403, { error: { code: 403, message, status: "PERMISSION_DENIED" } });
        } else route(emulated, request, response, body);
      } catch (cause) {
        // Of what is not percent-encoded as it should be, the sender has to hear.
        const [code, status]: [number, string] =
          cause instanceof URIError ? [400, "INVALID_ARGUMENT"] : [500, "INTERNAL"];
        const { message } = cause as Error;
        sendJson(response, code, { error: { code, message, status } });
      }
    });
  };
}

function route(
  emulated: Emulated,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  const { method = "GET", url = "/" } = request;
  const project = method === "POST" ? SEND.exec(url)?.[1] : undefined;
  if (project !== undefined) {
    handleSend(emulated, project, request, response, body);
    return;
  }
  const path = url.split("?", 1)[0] as string;
  if (method === "POST" && TOKEN_PATHS.has(path)) {
    handleToken(response, body, request.headers["content-type"]);
  } else if (!handleSubscription(emulated, request, response, url, body)) {
    handleControl(emulated, method, path, body, response);
  }
}

/** Whether a browser asks for a page of somewhere else, which any page could have it do. */
function isForeign(origin: string | undefined): boolean {
  if (origin === undefined) return false;
  return !URL.canParse(origin) || !isLocalName(new URL(origin).hostname);
}

/** The body as text; undefined where it is too long. A client that goes away is not answered. */
function readBody(request: IncomingMessage, done: (body: string | undefined) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= MAX_BODY) chunks.push(chunk);
    else chunks.length = 0;
  });
  request.on("end", () =>
    done(length > MAX_BODY ? undefined : Buffer.concat(chunks).toString("utf8")),
  );
}
