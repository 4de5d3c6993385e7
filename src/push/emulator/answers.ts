import type { ServerResponse } from "node:http";
import type { FaultRule } from "./faults.ts";

/** HTTP status and gRPC status that FCM answers each error code with. */
const STATUS: Readonly<Record<string, [http: number, grpc: string, message: string]>> = {
  UNREGISTERED: [404, "NOT_FOUND", "Requested entity was not found."],
  INVALID_ARGUMENT: [
    400,
    "INVALID_ARGUMENT",
    "The registration token is not a valid FCM registration token",
  ],
  SENDER_ID_MISMATCH: [403, "PERMISSION_DENIED", "SenderId mismatch"],
  PERMISSION_DENIED: [403, "PERMISSION_DENIED", "The caller does not have permission"],
  THIRD_PARTY_AUTH_ERROR: [401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"],
  UNAUTHENTICATED: [401, "UNAUTHENTICATED", "Request had invalid authentication credentials."],
  QUOTA_EXCEEDED: [429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric."],
  UNAVAILABLE: [503, "UNAVAILABLE", "The service is currently unavailable."],
  INTERNAL: [500, "INTERNAL", "Internal error encountered."],
};

/** These are Google's in general, not FCM's: they carry no FcmError detail. */
const PLAIN = new Set(["PERMISSION_DENIED", "UNAUTHENTICATED"]);

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const content = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=UTF-8",
    "content-length": Buffer.byteLength(content),
  });
  response.end(content);
}

/** An error as FCM HTTP v1 writes it. */
export function sendError(
  response: ServerResponse,
  code: string,
  options: { message?: string; field?: string; retryAfter?: number | undefined } = {},
): void {
  const [http, status, message] = STATUS[code] ?? [500, "INTERNAL", "Internal error encountered."];
  if (options.retryAfter !== undefined) response.setHeader("retry-after", options.retryAfter);
  sendJson(response, http, {
    error: {
      code: http,
      message: options.message ?? message,
      status,
      details: [
        ...(PLAIN.has(code)
          ? []
          : [
              {
                "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
                errorCode: code,
              },
            ]),
        ...(options.field === undefined
          ? []
          : [
              {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                fieldViolations: [{ field: options.field, description: options.message }],
              },
            ]),
      ],
    },
  });
}

/** Does what a fault says. A hang keeps the request until the emulator closes or the client goes. */
export function actFault(
  response: ServerResponse,
  { respond, retryAfter }: Pick<FaultRule, "respond" | "retryAfter">,
): void {
  if (respond === "HANG") return;
  if (respond === "RESET") {
    response.socket?.destroy();
    return;
  }
  if (respond === "HTML") {
    response.writeHead(502, { "content-type": "text/html" });
    response.end("<html><title>502 Bad Gateway</title></html>");
    return;
  }
  const field = respond === "INVALID_ARGUMENT" ? { field: "message.token" } : {};
  sendError(response, respond, { retryAfter, ...field });
}
