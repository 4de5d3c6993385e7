import { SEND_REQUEST } from "./fields.ts";
import { isObject, type JsonObject, parseShape, type Violation } from "./parse.ts";
import { androidPayload, apnsPayload, type Message, webpushPayload } from "./platforms.ts";
import { parseCondition } from "./topics.ts";

/** Largest payload that FCM takes, bytes, for each platform; topics are no exception any more. */
const MAX_PAYLOAD = 4096;
/** Longest life of a message, seconds: four weeks. */
export const MAX_TTL = 2_419_200;

export interface SendRequest {
  message: Message;
  target: Target;
  validateOnly: boolean;
}

export interface Target {
  kind: "token" | "fid" | "topic" | "condition";
  name: string;
}

const TARGETS = ["token", "fid", "topic", "condition"] as const;

/** A 400 of FCM, or of the parser before it, whose errors carry no FcmError. */
export class InvalidArgument extends Error {
  override name = "InvalidArgument";
  readonly violations: Violation[];
  readonly source: "parser" | "fcm";

  constructor(violations: Violation[], source: "parser" | "fcm") {
    super(violations.map(({ description }) => description).join("\n"));
    this.violations = violations;
    this.source = source;
  }
}

/** Reads a body of `messages:send` as Google's parser does. @throws {InvalidArgument} */
export function parseSendRequest(body: string): { message: Message; validateOnly: boolean } {
  const violations: Violation[] = [];
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    const { message } = error as Error;
    violations.push({ field: "", description: `Invalid JSON payload received. ${message}` });
  }
  if (json !== undefined && !isObject(json)) {
    const description = "Invalid JSON payload received. Root element must be a message.";
    violations.push({ field: "", description });
  }
  const request = isObject(json) ? parseShape(json, SEND_REQUEST, "", violations) : {};
  const message = (request.message ?? {}) as Message;
  const targets = TARGETS.filter((kind) => message[kind] !== undefined);
  for (const kind of targets.slice(1)) {
    const description = `Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set '${kind}'`;
    violations.push({ field: "message", description });
  }
  if (violations.length > 0) throw new InvalidArgument(violations, "parser");
  return { message, validateOnly: request.validate_only === true };
}

/** Checks a request as FCM does. @throws {InvalidArgument} */
export function validateSendRequest(body: string): SendRequest {
  const { message, validateOnly } = parseSendRequest(body);
  const target = targetOf(message);
  checkData("message.data", message.data);
  const { android, apns, webpush } = message;
  if (android) {
    checkData("message.android.data", android.data as JsonObject | undefined);
    checkTtl(android.ttl as string | undefined);
    const { color } = (android.notification ?? {}) as { color?: string };
    refuseUnless(color === undefined || /^#[0-9a-f]{6}$/i.test(color), {
      field: "message.android.notification.color",
      description: "Invalid color: it must have the form #RRGGBB.",
    });
  }
  if (apns) checkApns((apns.headers ?? {}) as Record<string, string>, apns.payload);
  if (webpush) {
    checkData("message.webpush.data", webpush.data as JsonObject | undefined);
    checkWebpush((webpush.headers ?? {}) as Record<string, string>);
  }
  // A payload cannot be longer than the request that holds it.
  if (Buffer.byteLength(body) > MAX_PAYLOAD) checkSize(message);
  return { message, target, validateOnly };
}

function targetOf(message: Message): Target {
  const kind = TARGETS.find((key) => message[key] !== undefined);
  const name = kind && message[kind];
  if (!kind || !name) {
    refuse(kind ? `message.${kind}` : "message", "Recipient of the message is not set.");
  }
  if (kind === "topic" && !/^[\w.~%-]+$/.test(name)) {
    refuse("message.topic", "Invalid topic name.");
  }
  if (kind === "condition" && !parseCondition(name)) {
    refuse("message.condition", "Invalid condition expression provided.");
  }
  return { kind, name };
}

function checkData(field: string, data: JsonObject | undefined): void {
  for (const key of Object.keys(data ?? {})) {
    if (key === "from" || key === "message_type" || /^(google|gcm)/.test(key)) {
      refuse(field, `Invalid data payload key: ${key}`);
    }
  }
}

function checkTtl(ttl: string | undefined): void {
  const seconds = ttl === undefined ? 0 : Number(ttl.slice(0, -1));
  if (seconds < 0 || seconds > MAX_TTL) {
    refuse("message.android.ttl", "Invalid value for ttl: it must be from 0s to 2419200s.");
  }
}

function checkApns(headers: Record<string, string>, payload: unknown): void {
  const aps = isObject(payload) ? payload.aps : undefined;
  const header = (name: string, fits: (value: string) => boolean, rule: string) => {
    const value = headers[name];
    if (value !== undefined && !fits(value)) {
      refuse(`message.apns.headers.${name}`, `Invalid value for ${name}: ${rule}.`);
    }
  };
  header("apns-priority", (value) => /^(10|5|1)$/.test(value), "it must be 10, 5 or 1");
  header("apns-expiration", (value) => /^\d+$/.test(value), "it must be seconds since 1970");
  header("apns-collapse-id", (value) => Buffer.byteLength(value) <= 64, "64 bytes at most");
  const wrongKey = (key: string, type: string) =>
    refuse(`message.apns.payload.aps.${key}`, `Value type for APS key [${key}] is a ${type}.`);
  if (aps === undefined) return;
  if (!isObject(aps)) refuse("message.apns.payload.aps", "Value type for key [aps] is a Map.");
  const { alert, badge, sound } = aps;
  if (alert !== undefined && typeof alert !== "string" && !isObject(alert)) {
    wrongKey("alert", "String or Map");
  }
  if (badge !== undefined && !Number.isInteger(badge)) wrongKey("badge", "Number");
  if (sound !== undefined && typeof sound !== "string" && !isObject(sound)) {
    wrongKey("sound", "String or Map");
  }
  for (const key of ["title", "subtitle", "body"]) {
    const text = isObject(alert) ? alert[key] : undefined;
    if (text !== undefined && typeof text !== "string") {
      refuse(
        `message.apns.payload.aps.alert.${key}`,
        `Value type for APS key [${key}] is a String.`,
      );
    }
  }
}

function checkWebpush(headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    const fits =
      name === "TTL"
        ? /^\d+$/.test(value) && Number(value) <= MAX_TTL
        : name === "Urgency"
          ? /^(very-low|low|normal|high)$/.test(value)
          : name !== "Topic" || /^[\w-]{1,32}$/.test(value);
    if (!fits) refuse(`message.webpush.headers.${name}`, `Invalid value for the header ${name}.`);
  }
}

function checkSize(message: Message): void {
  for (const payload of [androidPayload(message), apnsPayload(message), webpushPayload(message)]) {
    if (Buffer.byteLength(JSON.stringify(payload)) > MAX_PAYLOAD) {
      refuse("message", "Message is too large. The maximum is 4K (4096 bytes).");
    }
  }
}

function refuseUnless(fits: boolean, violation: Violation): void {
  if (!fits) refuse(violation.field, violation.description);
}

function refuse(field: string, description: string): never {
  throw new InvalidArgument([{ field, description }], "fcm");
}
