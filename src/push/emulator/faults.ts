import { z } from "zod";

/** What the emulator can do instead of accepting a message; the names are FCM's error codes. */
export const FAULTS = [
  "UNREGISTERED",
  "INVALID_ARGUMENT",
  "SENDER_ID_MISMATCH",
  "PERMISSION_DENIED",
  "THIRD_PARTY_AUTH_ERROR",
  "UNAUTHENTICATED",
  "QUOTA_EXCEEDED",
  "UNAVAILABLE",
  "INTERNAL",
  "HTML",
  "HANG",
  "RESET",
] as const;

export type Fault = (typeof FAULTS)[number];

/** A rule: messages to tokens that begin with `match` (`*`: all) get this instead. */
export const faultRule = z.object({
  match: z.string().min(1),
  respond: z.enum(FAULTS),
  /** Seconds, sent as Retry-After. */
  retryAfter: z.number().min(0).max(86_400).optional(),
  /** After how many messages the rule is used up; without it, never. */
  times: z.int().min(1).optional(),
});

export type FaultRule = z.infer<typeof faultRule>;

/** Tokens that fail without any rule: the part before the first dash, as in `unregistered-1`. */
const TOKEN_PREFIXES: Readonly<Record<string, Fault>> = {
  unregistered: "UNREGISTERED",
  invalid: "INVALID_ARGUMENT",
  mismatch: "SENDER_ID_MISMATCH",
  thirdparty: "THIRD_PARTY_AUTH_ERROR",
  quota: "QUOTA_EXCEEDED",
  unavailable: "UNAVAILABLE",
  internal: "INTERNAL",
  html: "HTML",
  hang: "HANG",
  reset: "RESET",
};

export interface Faults {
  add(rule: FaultRule): void;
  list(): FaultRule[];
  clear(): void;
  /** The fault for this token, which uses its rule once; rules go before prefixes, older first. */
  take(token: string): Pick<FaultRule, "respond" | "retryAfter"> | undefined;
}

export function createFaults(): Faults {
  let rules: FaultRule[] = [];
  return {
    add: (rule) => {
      rules.push({ ...rule });
    },
    list: () => rules,
    clear: () => {
      rules = [];
    },
    take(token) {
      const rule = rules.find(({ match }) => match === "*" || token.startsWith(match));
      if (!rule) {
        const respond = TOKEN_PREFIXES[token.slice(0, Math.max(0, token.indexOf("-")))];
        return respond && { respond };
      }
      if (rule.times !== undefined) {
        rule.times -= 1;
        if (rule.times === 0) rules = rules.filter((other) => other !== rule);
      }
      return rule;
    },
  };
}
