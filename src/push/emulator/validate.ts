/** Largest payload that FCM takes, bytes: notification and data together. */
const MAX_PAYLOAD = 4096;
/** Longest life of a message, seconds: four weeks. */
const MAX_TTL = 2_419_200;

export interface SendRequest {
  message: Record<string, unknown>;
  /** Where it goes: the token, or the installation id. */
  target: string;
  validateOnly: boolean;
}

/** What FCM says to a request that is no good: the field and a sentence. */
export class InvalidArgument extends Error {
  override name = "InvalidArgument";
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** Checks a request body as FCM HTTP v1 does. @throws {InvalidArgument} */
export function validateSendRequest(body: string): SendRequest {
  const request = parseObject(body);
  const message = request.message;
  if (!isObject(message))
    throw new InvalidArgument("message", "Recipient of the message is not set.");
  const targets = ["token", "fid", "topic", "condition"].filter(
    (key) => message[key] !== undefined,
  );
  const [kind] = targets;
  if (kind === undefined || targets.length > 1) {
    throw new InvalidArgument(
      "message",
      "Exactly one of token, fid, topic or condition is required.",
    );
  }
  const target = message[kind];
  if (typeof target !== "string" || target === "") {
    throw new InvalidArgument(
      `message.${kind}`,
      "The registration token is not a valid FCM registration token",
    );
  }
  validateData(message.data);
  validateTtl(isObject(message.android) ? message.android.ttl : undefined);
  const size = Buffer.byteLength(
    JSON.stringify({ notification: message.notification, data: message.data }),
  );
  if (size > MAX_PAYLOAD) {
    throw new InvalidArgument("message", "Message too big: the payload exceeds 4096 bytes.");
  }
  return { message, target, validateOnly: request.validate_only === true };
}

function validateData(data: unknown): void {
  if (data === undefined) return;
  if (!isObject(data)) throw new InvalidArgument("message.data", "data must be a map of strings.");
  for (const [key, value] of Object.entries(data)) {
    if (typeof value !== "string") {
      throw new InvalidArgument(`message.data[${key}]`, "Invalid value: must be a string.");
    }
    if (key === "from" || key === "message_type" || /^(google|gcm)/.test(key)) {
      throw new InvalidArgument(`message.data[${key}]`, `Invalid data payload key: ${key}`);
    }
  }
}

function validateTtl(ttl: unknown): void {
  if (ttl === undefined) return;
  const seconds = typeof ttl === "string" ? /^(\d+(?:\.\d{1,9})?)s$/.exec(ttl)?.[1] : undefined;
  if (seconds === undefined || Number(seconds) > MAX_TTL) {
    throw new InvalidArgument("message.android.ttl", "Invalid ttl: 0s to 2419200s.");
  }
}

function parseObject(body: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new InvalidArgument("", "Invalid JSON payload received.");
  }
  if (!isObject(parsed)) throw new InvalidArgument("", "Invalid JSON payload received.");
  return parsed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
