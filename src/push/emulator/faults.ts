import { z } from "zod";
import { PLATFORMS } from "./platforms.ts";
import { REFUSALS, type Refusal } from "./refusals.ts";
import type { SendRequest } from "./validate.ts";

/** What the emulator can do with a message besides refusing it as FCM does. */
const ACTIONS = [
  "ACCEPT",
  /** The 502 page of a proxy. */
  "HTML",
  /** No answer, for as long as the client waits. */
  "HANG",
  /** The connection is lost, and the message with it. */
  "RESET",
  /** The connection is lost once the message was taken: to the sender the same as RESET. */
  "RESET_AFTER",
  /** HTTP/2: the connection is told to go; HTTP/1.1, which knows no such thing: as RESET. */
  "GOAWAY",
] as const;

export type Respond = Refusal | (typeof ACTIONS)[number];

const responds: Respond[] = [...(Object.keys(REFUSALS) as Refusal[]), ...ACTIONS];

const regex = z.string().refine((source) => {
  try {
    return new RegExp(source) !== undefined;
  } catch {
    return false;
  }
}, "is no regular expression");

/** A rule: a message that meets all of its conditions gets this. */
export const faultRule = z.strictObject({
  /** The beginning of the token, installation id or topic; `*` is all of them, and the default. */
  match: z.string().min(1).optional(),
  /** The whole of it. */
  token: z.string().min(1).optional(),
  regex: regex.optional(),
  topic: z.string().min(1).optional(),
  project: z.string().min(1).optional(),
  /** The message has something of its own for this platform. */
  platform: z.enum(PLATFORMS).optional(),
  respond: z.enum(responds),
  /** Seconds, sent as Retry-After. */
  retryAfter: z.number().min(0).max(86_400).optional(),
  /** Milliseconds before the answer. */
  delay: z.int().min(0).max(600_000).optional(),
  /** It lets this many messages pass first. */
  after: z.int().min(0).optional(),
  /** Which part of them it takes, evenly: 0.25 is every fourth. */
  share: z.number().gt(0).max(1).optional(),
  /** After how many messages it is used up; without it, never. */
  times: z.int().min(1).optional(),
});

export type FaultRule = z.infer<typeof faultRule>;

/** A rule at work. */
export interface ActiveRule extends FaultRule {
  id: number;
  /** How many messages it was applied to. */
  applied: number;
}

export type Fault = Pick<FaultRule, "respond" | "retryAfter" | "delay">;

/** Tokens that fail without any rule: the part before the first dash, as in `unregistered-1`. */
export const TOKEN_PREFIXES: Readonly<Record<string, Fault>> = {
  unregistered: { respond: "UNREGISTERED" },
  invalid: { respond: "INVALID_ARGUMENT" },
  badtoken: { respond: "INVALID_TOKEN" },
  apnsgone: { respond: "APNS_UNREGISTERED" },
  payload: { respond: "INVALID_PAYLOAD" },
  mismatch: { respond: "SENDER_ID_MISMATCH" },
  denied: { respond: "PERMISSION_DENIED" },
  thirdparty: { respond: "THIRD_PARTY_AUTH_ERROR" },
  unauthenticated: { respond: "UNAUTHENTICATED" },
  quota: { respond: "QUOTA_EXCEEDED" },
  devicequota: { respond: "DEVICE_QUOTA_EXCEEDED" },
  topicquota: { respond: "TOPIC_QUOTA_EXCEEDED" },
  ratelimit: { respond: "RATE_LIMIT_EXCEEDED" },
  unavailable: { respond: "UNAVAILABLE" },
  internal: { respond: "INTERNAL" },
  html: { respond: "HTML" },
  hang: { respond: "HANG" },
  reset: { respond: "RESET" },
  resetafter: { respond: "RESET_AFTER" },
  goaway: { respond: "GOAWAY" },
  delayed: { respond: "ACCEPT", delay: 1000 },
};

export interface Faults {
  add(rule: FaultRule): ActiveRule;
  list(): ActiveRule[];
  /** False where there is no such rule. */
  remove(id: number): boolean;
  clear(): void;
  /** The first rule that applies to this message, which counts as one use of it. */
  take(request: Pick<SendRequest, "message" | "target">, project: string): Fault | undefined;
}

export function createFaults(): Faults {
  let rules: { rule: ActiveRule; regex: RegExp | undefined; met: number }[] = [];
  let lastId = 0;
  return {
    add(fault) {
      lastId += 1;
      const rule = { id: lastId, ...fault, applied: 0 };
      const compiled = fault.regex === undefined ? undefined : new RegExp(fault.regex);
      rules.push({ rule, regex: compiled, met: 0 });
      return rule;
    },
    list: () => rules.map(({ rule }) => rule),
    remove(id) {
      const before = rules.length;
      rules = rules.filter(({ rule }) => rule.id !== id);
      return rules.length < before;
    },
    clear() {
      rules = [];
    },
    take(request, project) {
      for (const active of rules) {
        const { rule } = active;
        if (!matches(rule, active.regex, request, project)) continue;
        active.met += 1;
        const counted = active.met - (rule.after ?? 0);
        if (counted <= 0 || !isShare(counted, rule.share)) continue;
        rule.applied += 1;
        if (rule.applied === rule.times) rules = rules.filter((other) => other !== active);
        return rule;
      }
      return undefined;
    },
  };
}

/** The fault that a token's own name asks for. */
export function faultOfName(name: string): Fault | undefined {
  const dash = name.indexOf("-");
  const prefix = dash > 0 ? name.slice(0, dash) : "";
  return Object.hasOwn(TOKEN_PREFIXES, prefix) ? TOKEN_PREFIXES[prefix] : undefined;
}

function matches(
  { match, token, topic, platform, ...rule }: FaultRule,
  pattern: RegExp | undefined,
  { message, target }: Pick<SendRequest, "message" | "target">,
  project: string,
): boolean {
  return (
    (match === undefined || match === "*" || target.name.startsWith(match)) &&
    (token === undefined || token === (message.token ?? message.fid)) &&
    (pattern === undefined || pattern.test(target.name)) &&
    (topic === undefined || topic === message.topic) &&
    (rule.project === undefined || rule.project === project) &&
    (platform === undefined || message[platform] !== undefined)
  );
}

/** Spreads a share evenly instead of drawing lots, so that a test ends the same each time. */
function isShare(count: number, share = 1): boolean {
  return Math.floor(count * share) > Math.floor((count - 1) * share);
}
