import { isObject, type JsonObject } from "./parse.ts";

/** A v1 message as the parser leaves it: checked, its names with underscores. */
export interface Message {
  token?: string;
  fid?: string;
  topic?: string;
  condition?: string;
  data?: JsonObject;
  notification?: JsonObject;
  android?: JsonObject;
  apns?: JsonObject;
  webpush?: JsonObject;
}

export const PLATFORMS = ["android", "apns", "webpush"] as const;

export type Platform = (typeof PLATFORMS)[number];

/** A message as one platform gets and shows it: what is common, overridden by what is its own. */
export interface Shown {
  /** False for a message of data only, which the app handles in silence. */
  visible: boolean;
  title: string | null;
  body: string | null;
  data: JsonObject;
  /** The platform's own notification: Android's, `aps`, or the options of the Web Notifications API. */
  notification: JsonObject;
  priority: string | null;
  /** A visible message takes the place of an older one with the same tag. */
  tag: string | null;
  /** While the phone is away, the newest message with the same key is kept. */
  collapseKey: string | null;
  /** Seconds that a message waits for a phone that is away; null is the most, four weeks. */
  ttl: number | null;
}

export function shownOn(platform: Platform, message: Message, at: number): Shown {
  return { android: onAndroid, apns: onApns, webpush: onWeb }[platform](message, at);
}

function onAndroid(message: Message): Shown {
  const { notification, data } = androidPayload(message);
  const { priority, collapse_key, ttl } = message.android ?? {};
  return {
    visible: message.notification !== undefined || message.android?.notification !== undefined,
    title: text(notification.title),
    body: text(notification.body),
    data,
    notification,
    priority: text(priority)?.toUpperCase() ?? null,
    tag: text(notification.tag),
    collapseKey: text(collapse_key),
    ttl: typeof ttl === "string" ? Math.floor(Number(ttl.slice(0, -1))) : null,
  };
}

function onApns(message: Message, at: number): Shown {
  const { aps, ...data } = apnsPayload(message);
  const alert = isObject(aps.alert) ? aps.alert : { body: aps.alert };
  const headers = object(message.apns?.headers);
  const expiration = text(headers["apns-expiration"]);
  return {
    visible: aps.alert !== undefined,
    title: text(alert.title),
    body: text(alert.body),
    data,
    notification: aps,
    priority: text(headers["apns-priority"]),
    tag: text(headers["apns-collapse-id"]),
    collapseKey: text(headers["apns-collapse-id"]),
    ttl: expiration === null ? null : Math.max(0, Math.floor(Number(expiration) - at / 1000)),
  };
}

function onWeb(message: Message): Shown {
  const { notification, data } = webpushPayload(message);
  const headers = object(message.webpush?.headers);
  return {
    visible: message.notification !== undefined || message.webpush?.notification !== undefined,
    title: text(notification.title),
    body: text(notification.body),
    data,
    notification,
    priority: text(headers.Urgency),
    tag: text(notification.tag),
    collapseKey: text(headers.Topic),
    ttl: headers.TTL === undefined ? null : Number(headers.TTL),
  };
}

/** What travels to an Android phone: its own data takes the place of the common one. */
export function androidPayload({ notification, data, android }: Message) {
  return {
    notification: { ...notification, ...object(android?.notification) },
    data: object(android?.data ?? data),
  };
}

/** What travels to an iPhone: data beside `aps`, and the common notification as its alert. */
export function apnsPayload({ notification, data, apns }: Message) {
  const { aps, ...custom } = object(apns?.payload);
  const { title, body } = notification ?? {};
  const common = notification && { ...(title ? { title } : {}), ...(body ? { body } : {}) };
  const own = object(aps).alert;
  const alert = isObject(own) ? { ...common, ...own } : (own ?? common);
  return {
    ...data,
    ...custom,
    aps: { ...object(aps), ...(alert === undefined ? {} : { alert }) } as JsonObject,
  };
}

/** What travels to a browser. */
export function webpushPayload({ notification, data, webpush }: Message) {
  return {
    notification: { ...notification, ...object(webpush?.notification) },
    data: object(webpush?.data ?? data),
  };
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
