import type { InvalidArgument, Target } from "./validate.ts";

const TYPE = "type.googleapis.com/";

/** google.rpc.Status, as Google writes it in JSON. */
export interface Status {
  code: number;
  message: string;
  status: string;
  details?: object[];
}

interface Context {
  project: string;
  target: Target;
}

const fcmError = (errorCode: string) => ({
  "@type": `${TYPE}google.firebase.fcm.v1.FcmError`,
  errorCode,
});
const apnsError = (statusCode: number, reason: string) => ({
  "@type": `${TYPE}google.firebase.fcm.v1.ApnsError`,
  statusCode,
  reason,
});
const badRequest = (...fieldViolations: object[]) => ({
  "@type": `${TYPE}google.rpc.BadRequest`,
  fieldViolations,
});
const errorInfo = (reason: string, domain: string, metadata: object) => ({
  "@type": `${TYPE}google.rpc.ErrorInfo`,
  reason,
  domain,
  metadata,
});
const quotaFailure = (subject: string, description: string) => ({
  "@type": `${TYPE}google.rpc.QuotaFailure`,
  violations: [{ subject, description }],
});

const SEND_METHOD = {
  service: "fcm.googleapis.com",
  method: "google.firebase.fcm.v1.FcmService.SendMessage",
};
const BAD_TOKEN = "The registration token is not a valid FCM registration token";

function status(code: number, name: string, message: string, ...details: object[]): Status {
  return { code, message, status: name, details };
}

const invalid = (message: string, ...details: object[]) =>
  status(400, "INVALID_ARGUMENT", message, ...details, fcmError("INVALID_ARGUMENT"));
const exhausted = (subject: string, message: string) =>
  status(
    429,
    "RESOURCE_EXHAUSTED",
    message,
    fcmError("QUOTA_EXCEEDED"),
    quotaFailure(subject, message),
  );

/**
 * What FCM and the gateway in front of it answer instead of taking a message, each under the name
 * that a fault rule calls it by.
 */
export const REFUSALS = {
  UNREGISTERED: () =>
    status(404, "NOT_FOUND", "Requested entity was not found.", fcmError("UNREGISTERED")),
  /** About the address, and says so. */
  INVALID_ARGUMENT: ({ target }) =>
    invalid(
      BAD_TOKEN,
      badRequest({ field: `message.${target.kind}`, description: "Invalid registration token" }),
    ),
  /** About the address, and says so only in its sentence. */
  INVALID_TOKEN: () => invalid(BAD_TOKEN),
  /** About the address: Apple has given it up. */
  APNS_UNREGISTERED: () =>
    invalid("APNs device token is disabled.", apnsError(410, "Unregistered")),
  /** About the message: no address is to blame. */
  INVALID_PAYLOAD: () => {
    const description = "Invalid data payload key: from";
    return invalid(description, badRequest({ field: "message.data", description }));
  },
  SENDER_ID_MISMATCH: () =>
    status(403, "PERMISSION_DENIED", "SenderId mismatch", fcmError("SENDER_ID_MISMATCH")),
  /** The account may not send for this project: Google's own, without an FcmError. */
  PERMISSION_DENIED: ({ project }) => {
    const permission = "cloudmessaging.messages.create";
    const resource = `projects/${project}`;
    return status(
      403,
      "PERMISSION_DENIED",
      `Permission '${permission}' denied on resource '//cloudresourcemanager.googleapis.com/${resource}' (or it may not exist).`,
      errorInfo("IAM_PERMISSION_DENIED", "cloudresourcemanager.googleapis.com", {
        permission,
        resource,
      }),
    );
  },
  /** FCM's credentials for Apple or a browser's push service are no good. */
  THIRD_PARTY_AUTH_ERROR: () =>
    status(
      401,
      "UNAUTHENTICATED",
      "Auth error from APNS or Web Push Service",
      fcmError("THIRD_PARTY_AUTH_ERROR"),
      apnsError(403, "InvalidProviderToken"),
    ),
  /** The sender's access token is no good: Google's own, without an FcmError. */
  UNAUTHENTICATED: () =>
    status(
      401,
      "UNAUTHENTICATED",
      "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
      errorInfo("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com", SEND_METHOD),
    ),
  /** FCM's own count of the project. */
  QUOTA_EXCEEDED: ({ project }) => exhausted(`project:${project}`, "Message rate exceeded."),
  DEVICE_QUOTA_EXCEEDED: ({ target }) =>
    exhausted(`device:${target.name}`, "Device message rate exceeded."),
  TOPIC_QUOTA_EXCEEDED: ({ target }) =>
    exhausted(`topic:${target.name}`, "Topic message rate exceeded."),
  /** The gateway's count of the project, without an FcmError: what too quick a sender meets first. */
  RATE_LIMIT_EXCEEDED: ({ project }) =>
    status(
      429,
      "RESOURCE_EXHAUSTED",
      `Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute' of service 'fcm.googleapis.com' for consumer 'projects/${project}'.`,
      errorInfo("RATE_LIMIT_EXCEEDED", "googleapis.com", {
        service: "fcm.googleapis.com",
        consumer: `projects/${project}`,
        quota_metric: "fcm.googleapis.com/send_requests",
        quota_limit: "SendsPerMinutePerProject",
        quota_limit_value: "600000",
        quota_unit: "1/min/{project}",
        quota_location: "global",
      }),
    ),
  UNAVAILABLE: () =>
    status(503, "UNAVAILABLE", "The service is currently unavailable.", fcmError("UNAVAILABLE")),
  INTERNAL: () => status(500, "INTERNAL", "Internal error encountered.", fcmError("INTERNAL")),
} satisfies Record<string, (context: Context) => Status>;

export type Refusal = keyof typeof REFUSALS;

/** A request that FCM or its parser finds fault with. */
export function invalidArgument({ message, violations, source }: InvalidArgument): Status {
  const rows = violations.map(({ field, description }) =>
    field === "" ? { description } : { field, description },
  );
  return source === "fcm"
    ? invalid(message, badRequest(...rows))
    : status(400, "INVALID_ARGUMENT", message, badRequest(...rows));
}

/** A request without an access token. */
export function credentialsMissing(): Status {
  return status(
    401,
    "UNAUTHENTICATED",
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
    errorInfo("CREDENTIALS_MISSING", "googleapis.com", SEND_METHOD),
  );
}
