import type { SendResponse } from "firebase-admin/messaging";

/** What is written to the ledger for one delivery: app_private.delivery_outcome without its key. */
export interface Outcome {
  /** unknown: no answer came; the notification's own guarantee decides what follows. */
  status: "accepted" | "retrying" | "unknown" | "dead_address" | "failed";
  message_id?: string;
  error_code?: string;
  /** Seconds, for what is tried again. */
  retry_after?: number;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/**
 * What an answer of FCM means (docs/push.md). The SDK's own code is too coarse, because it calls any
 * 404 unregistered: what FCM wrote is read instead.
 */
export function outcomeOf(response: SendResponse | undefined, attempts: number): Outcome {
  if (response?.success) return { status: "accepted", message_id: response.messageId ?? "" };
  const { status, headers, code, aboutAddress } = answerOf(response?.error);
  const retryAfter = Number(headers["retry-after"]) || 0;
  const retry = (first: number): Outcome => ({
    status: "retrying",
    error_code: code,
    retry_after: Math.max(retryAfter, backOff(first, attempts)),
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
      return retry(MINUTE);
    case "SENDER_ID_MISMATCH":
    case "PERMISSION_DENIED":
    case "THIRD_PARTY_AUTH_ERROR":
    case "UNAUTHENTICATED":
      // Our credentials or theirs: an operator has to mend it, and addresses stay.
      return retry(5 * MINUTE);
    case "app/network-error":
    case "app/network-timeout":
      return { ...retry(1), status: "unknown" };
    case "app/invalid-credential":
      // Google did not give us an access token: nothing was sent.
      return retry(5 * MINUTE);
    default:
      // UNAVAILABLE, INTERNAL, a proxy's HTML. Another 4xx would be refused again, and so would what
      // the SDK itself refuses to send.
      return status >= 500 ? retry(1) : { status: "failed", error_code: code };
  }
}

interface Answer {
  /** HTTP; 0 where there was none. */
  status: number;
  headers: Record<string, unknown>;
  code: string;
  /** It says that the address is no good, and not the message. */
  aboutAddress: boolean;
}

/** FCM says so in words, and only sometimes with the field besides. */
const BAD_TOKEN = /registration token is not a valid|APNs device token is disabled/i;

/** Reads what FCM wrote, from where firebase-admin 14 keeps it. */
function answerOf(error: unknown): Answer {
  const { code = "unknown", httpResponse } = (error ?? {}) as {
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
          }[];
        };
      }
    | undefined;
  const details = body?.error?.details ?? [];
  const field = details.flatMap((detail) => detail.fieldViolations ?? [])[0]?.field;
  return {
    status: httpResponse?.status ?? 0,
    headers: httpResponse?.headers ?? {},
    code:
      details.find((detail) => detail["@type"]?.endsWith("fcm.v1.FcmError"))?.errorCode ??
      body?.error?.status ??
      code,
    aboutAddress:
      field === "message.token" ||
      field === "message.fid" ||
      (field === undefined && BAD_TOKEN.test(body?.error?.message ?? "")),
  };
}

/** Exponential with full jitter above half, from `first` seconds to an hour. */
function backOff(first: number, attempts: number): number {
  const ceiling = Math.min(HOUR, first * 2 ** Math.min(attempts - 1, 12));
  return ceiling * (0.5 + Math.random() / 2);
}
