import type { ServerResponse } from "node:http";
import { z } from "zod";
import { sendJson } from "./answers.ts";
import type { Emulated } from "./emulator.ts";
import { faultRule } from "./faults.ts";
import { PLATFORMS } from "./platforms.ts";
import { messageView, phoneView } from "./view.ts";

/** A malformed use of the emulator's own interface: what is wrong, in a sentence. */
class Misuse extends Error {
  override name = "Misuse";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Call {
  /** The part of the path in braces. */
  parameter: string;
  body: string;
  response: ServerResponse;
}

/** What is answered, as 200; undefined where the route has answered itself. */
type Route = (call: Call, emulated: Emulated) => unknown;

const phoneChange = z
  .strictObject({ online: z.boolean().optional(), platform: z.enum(PLATFORMS).optional() })
  .refine((change) => Object.keys(change).length > 0, "give online, platform or both");

const clockChange = z.strictObject({
  advance: z
    .number()
    .min(0)
    .max(10 * 365 * 86_400),
});

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  "/": {
    GET: () => ({ emulator: "Firebase Cloud Messaging, HTTP v1", endpoints: endpoints() }),
  },
  "/phones": {
    GET: (_call, { phones }) => ({ phones: phones.list() }),
    DELETE(_call, emulated) {
      forgetPhones(emulated);
      return { phones: [] };
    },
  },
  "/phones/{token}": {
    GET: ({ parameter }, { phones, topics }) =>
      phoneView(phones.peek(parameter), topics.of(parameter)),
    PATCH({ parameter, body }, { phones, topics }) {
      return phoneView(phones.set(parameter, parse(phoneChange, body)), topics.of(parameter));
    },
    DELETE({ parameter }, { phones, topics }) {
      phones.uninstall(parameter);
      topics.forget(parameter);
      return { token: parameter, uninstalled: true };
    },
  },
  "/phones/{token}/events": {
    GET({ parameter, response }, { phones, events }) {
      const first = phones
        .peek(parameter)
        .messages.map((kept) => ({ token: parameter, ...messageView(kept) }));
      events.open(response, parameter, first);
    },
  },
  "/events": {
    GET({ response }, { events }) {
      events.open(response, undefined, []);
    },
  },
  "/stats": {
    GET: (_call, { sends, arrivals, phones }) => ({
      sends: sends.all(),
      arrivals: arrivals.all(),
      phones: phones.size(),
    }),
    DELETE(_call, { sends, arrivals }) {
      sends.clear();
      arrivals.clear();
      return { sends: {}, arrivals: {} };
    },
  },
  "/faults": {
    GET: (_call, { faults }) => ({ faults: faults.list() }),
    POST: ({ body }, { faults }) => faults.add(parse(faultRule, body)),
    DELETE(_call, { faults }) {
      faults.clear();
      return { faults: [] };
    },
  },
  "/faults/{id}": {
    DELETE({ parameter }, { faults }) {
      if (!faults.remove(Number(parameter)))
        throw new Misuse(404, `There is no rule ${parameter}.`);
      return { faults: faults.list() };
    },
  },
  "/clock": {
    GET: (_call, { clock }) => ({ now: new Date(clock.now()).toISOString() }),
    POST({ body }, { clock }) {
      clock.advance(parse(clockChange, body).advance);
      return { now: new Date(clock.now()).toISOString() };
    },
  },
  "/certificate": {
    GET({ response }, { certificate }) {
      response.writeHead(200, { "content-type": "application/x-pem-file" });
      response.end(certificate);
    },
  },
  "/reset": {
    POST(_call, emulated) {
      forgetPhones(emulated);
      emulated.faults.clear();
      emulated.clock.reset();
      return { reset: true };
    },
  },
};

/** The emulator's own interface, for tests and people. */
export function handleControl(
  emulated: Emulated,
  method: string,
  path: string,
  body: string,
  response: ServerResponse,
): void {
  try {
    const { methods, parameter } = find(path);
    const route = methods[method];
    if (!route) {
      const allow = Object.keys(methods).join(", ");
      throw new Misuse(405, `${path} takes ${allow}, not ${method}.`);
    }
    const answer = route({ parameter, body, response }, emulated);
    if (answer !== undefined) sendJson(response, 200, answer);
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    sendJson(response, error.status, { error: { code: error.status, message: error.message } });
  }
}

function find(path: string): { methods: Readonly<Record<string, Route>>; parameter: string } {
  const [, first = "", second, third, ...rest] = path.split("/");
  const parameterName = first === "faults" ? "{id}" : "{token}";
  const name = [`/${first}`, ...(second === undefined ? [] : [parameterName]), third, ...rest]
    .filter((part) => part !== undefined)
    .join("/");
  const methods = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
  if (!methods || second === "") {
    throw new Misuse(404, `There is nothing at ${path}. There is: ${endpoints().join("; ")}.`);
  }
  try {
    return { methods, parameter: decodeURIComponent(second ?? "") };
  } catch {
    throw new Misuse(400, `${path} is not percent-encoded as it should be.`);
  }
}

function endpoints(): string[] {
  return [
    "POST /v1/projects/{project}/messages:send",
    "POST, DELETE /v1/projects/{project}/registrations/{token}/topicSubscriptions",
    "POST /token",
    ...Object.entries(ROUTES).map(
      ([path, methods]) => `${Object.keys(methods).join(", ")} ${path}`,
    ),
  ];
}

function parse<T extends z.ZodType>(schema: T, body: string): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    throw new Misuse(400, `The body is no JSON: ${(error as Error).message}.`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new Misuse(400, parsed.error.issues.map(inWords).join(" "));
  return parsed.data;
}

function inWords({ path, message }: z.core.$ZodIssue): string {
  const what = path.length > 0 ? `"${path.join(".")}"` : "The body";
  return `${what} is not as it should be: ${message.charAt(0).toLowerCase()}${message.slice(1)}.`;
}

function forgetPhones({ phones, topics, sends, arrivals }: Emulated): void {
  phones.clear();
  topics.clear();
  sends.clear();
  arrivals.clear();
}
