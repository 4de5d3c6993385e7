import type { Answered } from "./messaging.ts";

/** What is written to the ledger for one delivery: app_private.delivery_outcome without its key. */
export interface Outcome {
  /**
   * queued: not handed to FCM. unknown: no answer came; the notification's own guarantee decides what
   * follows.
   */
  status: "queued" | "accepted" | "retrying" | "unknown" | "dead_address" | "failed";
  message_id?: string;
  error_code?: string;
  /** What FCM objected to, in its words, without tokens; at most 500 characters. */
  error_message?: string;
  /** Seconds, for what is tried again. */
  retry_after?: number;
  /**
   * Who else is to wait: everything of this Firebase project, of this platform, of this device.
   * outage: of the project, where it happens to many and nothing is accepted.
   */
  pause?: "project" | "platform" | "device" | "outage";
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** What Retry-After may ask for at most: nobody means a year. */
const DAY = 24 * HOUR;

/** A message that has no answer when it is waited for no longer. */
export function timedOut(attempts: number): Outcome {
  return { status: "unknown", error_code: "TIMEOUT", retry_after: backOff(1, attempts) };
}

/**
 * What an answer of FCM means (docs/push.md). The SDK's own code is too coarse, because it calls any
 * 404 unregistered: what FCM wrote is read instead.
 */
export function outcomeOf(answered: Answered, attempts: number): Outcome {
  try {
    const outcome = judge(answered, attempts);
    const message = answered.success ? undefined : messageOf(answered.error);
    return message ? { ...outcome, error_message: message } : outcome;
  } catch (error) {
    // Whatever a proxy made of it: it is this message's fault alone, and nobody knows what became of it.
    return { ...timedOut(attempts), error_code: (error as Error).name };
  }
}

function judge(answered: Answered, attempts: number): Outcome {
  if (answered.success && MESSAGE_NAME.test(String(answered.messageId))) {
    return { status: "accepted", message_id: storable(answered.messageId) };
  }
  const { status, headers, code, isSaid, isUnsent, aboutAddress, aboutDevice } = answered.success
    ? UNREADABLE
    : answerOf(answered.error);
  if (!answered.success && answered.isUnsent) return { status: "failed", error_code: code };
  const retryAfter = secondsOf(headers["retry-after"]);
  const retry = (first: number, pause?: Outcome["pause"]): Outcome => ({
    status: "retrying",
    error_code: code,
    retry_after: Math.max(retryAfter, backOff(first, attempts)),
    ...(pause === undefined ? {} : { pause }),
  });
  switch (code) {
    case "UNREGISTERED":
      return { status: "dead_address", error_code: code };
    case "INVALID_ARGUMENT":
      // Only an error about the token says anything of the token.
      return { status: aboutAddress ? "dead_address" : "failed", error_code: code };
    case "QUOTA_EXCEEDED":
    // Google's gateway counts before FCM does, and its errors have no FcmError.
    case "RESOURCE_EXHAUSTED":
      return retry(MINUTE, aboutDevice ? "device" : "project");
    case "THIRD_PARTY_AUTH_ERROR":
      // The platform's own credentials (APNs key, Web Push certificate): addresses stay.
      return retry(MINUTE, "platform");
    case "SENDER_ID_MISMATCH":
    case "PERMISSION_DENIED":
    case "UNAUTHENTICATED":
    case "NOT_FOUND":
    case "app/invalid-credential":
      // Our credentials, or our project: an operator has to mend it, and addresses stay.
      return retry(MINUTE, "project");
  }
  switch (status) {
    case 0:
      // What the SDK finds out before it asks is about us.
      if (code.startsWith("messaging/")) return retry(MINUTE, "project");
      // Nobody was there to take it; else nobody knows what became of it.
      if (isUnsent || NOBODY_THERE.has(causeOf(answered))) return retry(1, "outage");
      return { ...retry(1), status: "unknown" };
    // The same where something between FCM and us says so, or Google in other words.
    case 401:
    case 403:
    case 404:
    case 429:
      return retry(MINUTE, "project");
    // A proxy between FCM and us, for the moment.
    case 407:
    case 408:
      return retry(1);
  }
  // A 2xx that cannot be read: FCM may have taken it.
  if (status < 300) return { ...retry(1), status: "unknown" };
  if (status < 400) return retry(1);
  // FCM's own word on the message: it would be refused again. What it did not say itself is an outage.
  return status < 500 && isSaid ? { status: "failed", error_code: code } : retry(1, "outage");
}

/** What Node.js says where no connection came about. */
const NOBODY_THERE = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

function causeOf(answered: Answered): string {
  const { error } = answered as { error?: { cause?: { code?: string } } };
  return error?.cause?.code ?? "";
}

/**
 * How the SDK, and google-auth-library below it, say that nobody answered where an access token was asked for, or an
 * outage did; a refusal has Google's words.
 */
const NOBODY_ANSWERED =
  /Error while making request|\bfailed, reason:|socket hang up|\bE(?:CONNREFUSED|CONNRESET|NOTFOUND|AI_AGAIN|TIMEDOUT|HOSTUNREACH|NETUNREACH|PIPE)\b/;

/** HTTP, of what asked for an access token; firebase-admin says in its text what the body was. */
function statusOfCause(error: unknown): number {
  const { status } = ((error as { cause?: unknown } | undefined)?.cause ?? {}) as {
    status?: unknown;
  };
  return Number(status) || 0;
}

function isOutage(status: number): boolean {
  return status === 429 || status >= 500;
}

/** FCM's name of a message. */
const MESSAGE_NAME = /^projects\/[^/]+\/messages\/./;

/**
 * What was said of an error: by FCM, or by the SDK where FCM said nothing. Nobody knows what a proxy's page
 * has in it.
 */
function messageOf(error: unknown): string | undefined {
  const { message, httpResponse } = (error ?? {}) as {
    message?: unknown;
    httpResponse?: { data?: { error?: { message?: unknown; details?: unknown } } };
  };
  const said = httpResponse === undefined ? message : httpResponse.data?.error?.message;
  if (typeof said !== "string") return undefined;
  const details = httpResponse?.data?.error?.details;
  const fields = (Array.isArray(details) ? details : [])
    .flatMap(
      (detail) => (detail as { fieldViolations?: { field?: string }[] })?.fieldViolations ?? [],
    )
    .flatMap(({ field }) => (typeof field === "string" && !said.includes(field) ? [field] : []));
  const text = fields.length > 0 ? `${said} (${fields.join(", ")})` : said;
  const clean = text.replace(/\.? Error code: undefined$/, "").replaceAll(OPAQUE, "[removed]");
  return storable(clean.replaceAll(/\s+/g, " ").trim());
}

/** Tokens, keys and addresses of people, as far as they can be told from words, paths and names of fields. */
const OPAQUE =
  /[\w.+-]+@[\w.-]*\w|\bya29\.[\w.-]*\w|(?=[\w:+=-]*\d)(?=[\w:+=-]*[A-Za-z])[\w:+=-]{24,}/g;

/** FCM may quote the address that it objects to; shorter than this is no address, but a part of any word. */
const SHORTEST_TOKEN = 4;

export function withoutToken(outcome: Outcome, token: string): Outcome {
  const { error_message } = outcome;
  if (error_message === undefined || token.length < SHORTEST_TOKEN) return outcome;
  return { ...outcome, error_message: error_message.replaceAll(token, "[removed]") };
}

interface Answer {
  /** HTTP; 0 where there was none. */
  status: number;
  headers: Record<string, unknown>;
  code: string;
  /** It was FCM that said so, or Google's gateway. */
  isSaid: boolean;
  /** There was no access token to be had, so nothing of it has left. */
  isUnsent: boolean;
  /** It says that the address is no good, and not the message. */
  aboutAddress: boolean;
  /** It is the quota of one device, as google.rpc.QuotaFailure says. */
  aboutDevice: boolean;
}

/** A 200 that names no message. */
const UNREADABLE: Answer = {
  status: 200,
  headers: {},
  code: "HTTP_200",
  isSaid: false,
  isUnsent: false,
  aboutAddress: false,
  aboutDevice: false,
};

/** FCM says so in words, and only sometimes with the field besides. */
const BAD_TOKEN = /registration token is not a valid|APNs device token is disabled/i;

/** Reads what FCM wrote, from where firebase-admin 14 keeps it. */
function answerOf(error: unknown): Answer {
  const {
    name = "unknown",
    code = name,
    httpResponse,
  } = (error ?? {}) as {
    name?: string;
    code?: string;
    httpResponse?: { status?: number; headers?: Record<string, unknown>; data?: unknown };
  };
  const body = httpResponse?.data as
    | {
        error?: {
          message?: string;
          status?: string;
          details?: {
            "@type"?: string;
            errorCode?: string;
            fieldViolations?: { field?: string }[];
            violations?: { subject?: string; description?: string }[];
          }[];
        };
      }
    | undefined;
  const found = body?.error?.details;
  const details = Array.isArray(found) ? found.filter((one) => typeof one === "object" && one) : [];
  const field = details.flatMap((detail) => detail.fieldViolations ?? [])[0]?.field;
  const status = httpResponse?.status ?? 0;
  const isUnheard =
    code === "app/invalid-credential" &&
    (NOBODY_ANSWERED.test(messageOf(error) ?? "") || isOutage(statusOfCause(error)));
  const said =
    details.find((detail) => String(detail["@type"]).endsWith("fcm.v1.FcmError"))?.errorCode ??
    body?.error?.status;
  const isSaid = typeof said === "string";
  return {
    status,
    headers: httpResponse?.headers ?? {},
    code: storable(
      isSaid ? said : status > 0 ? `HTTP_${status}` : isUnheard ? "app/network-error" : code,
    ),
    isUnsent: isUnheard,
    isSaid,
    aboutAddress:
      field === "message.token" ||
      field === "message.fid" ||
      (field === undefined && BAD_TOKEN.test(body?.error?.message ?? "")),
    aboutDevice: details
      .flatMap((detail) => detail.violations ?? [])
      .some(({ subject = "", description = "" }) => /^device\b/i.test(subject || description)),
  };
}

/** Retry-After (RFC 9110, 10.2.3): seconds, or a date. */
function secondsOf(header: unknown): number {
  const seconds = Number(header);
  const wanted = Number.isFinite(seconds)
    ? seconds
    : (Date.parse(String(header)) - Date.now()) / 1000 || 0;
  return Math.min(DAY, Math.max(0, wanted));
}

/** As PostgreSQL can keep it: no NUL, no half of a character, no novel. */
function storable(text: unknown): string {
  return String(text).replaceAll("\0", "").toWellFormed().slice(0, 500);
}

/** Exponential, from `first` seconds (never sooner) to an hour, of which up to a third is jitter. */
function backOff(first: number, attempts: number): number {
  const least = Math.min(HOUR / 1.5, first * 2 ** Math.min(attempts - 1, 12));
  return least * (1 + Math.random() / 2);
}
