import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { actFault, sendError, sendJson } from "./answers.ts";
import { type Faults, faultRule } from "./faults.ts";
import type { Phones } from "./phones.ts";
import { InvalidArgument, validateSendRequest } from "./validate.ts";

/** Longest request body, bytes. */
const MAX_BODY = 64 * 1024;
const SEND = /^\/v1\/projects\/([^/]+)\/messages:send$/;

/** The emulator's HTTP interface; no framework, because it is what benchmarks send to. */
export function createHandler(phones: Phones, faults: Faults) {
  const phoneNamed = (token: string) => ({ token, messages: phones.messages(token) });

  const controls: Readonly<Record<string, (body: string) => object>> = {
    "GET /": () => ({
      emulator: "Firebase Cloud Messaging, HTTP v1",
      endpoints: ["/v1/projects/{project}/messages:send", "/token", "/phones", "/faults"],
    }),
    "POST /token": () => ({
      access_token: `emulated-${randomUUID()}`,
      expires_in: 3600,
      token_type: "Bearer",
    }),
    "GET /phones": () => ({ phones: phones.list() }),
    "DELETE /phones": () => {
      phones.clear();
      return { phones: [] };
    },
    "GET /faults": () => ({ faults: faults.list() }),
    "POST /faults": (body) => {
      faults.add(parseRule(body));
      return { faults: faults.list() };
    },
    "DELETE /faults": () => {
      faults.clear();
      return { faults: [] };
    },
  };

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split("?")[0] ?? "/";
    const project = request.method === "POST" ? SEND.exec(path)?.[1] : undefined;
    try {
      const body = await readBody(request);
      if (project !== undefined) send(project, request, response, body);
      else control(`${request.method} ${path}`, response, body);
    } catch (error) {
      if (error instanceof InvalidArgument) {
        sendError(response, "INVALID_ARGUMENT", { message: error.message, field: error.field });
      } else {
        // The client has gone, or sent too much: there is nobody to answer.
        request.destroy();
      }
    }
  };

  function send(
    project: string,
    request: IncomingMessage,
    response: ServerResponse,
    body: string,
  ): void {
    const authorized = request.headers.authorization?.startsWith("Bearer ");
    const { message, target, validateOnly } = validateSendRequest(body);
    const fault = authorized ? faults.take(target) : ({ respond: "UNAUTHENTICATED" } as const);
    if (fault) {
      actFault(response, fault);
      return;
    }
    const name = `projects/${project}/messages/${validateOnly ? "fake_message_id" : randomUUID()}`;
    if (!validateOnly) {
      phones.receive(target, { name, receivedAt: new Date().toISOString(), message });
    }
    sendJson(response, 200, { name });
  }

  function control(route: string, response: ServerResponse, body: string): void {
    const phone = /^GET \/phones\/(.+)$/.exec(route)?.[1];
    const answer =
      phone === undefined ? controls[route]?.(body) : phoneNamed(decodeURIComponent(phone));
    if (answer) sendJson(response, 200, answer);
    else
      sendJson(response, 404, { error: { code: 404, message: "Not found.", status: "NOT_FOUND" } });
  }
}

function parseRule(body: string) {
  try {
    return faultRule.parse(JSON.parse(body));
  } catch (cause) {
    throw new InvalidArgument("", `This is no fault rule: ${(cause as Error).message}`);
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error("The body is too long.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
