import { createHash } from "node:crypto";
import type { Message } from "firebase-admin/messaging";

/** What is sent, to whomever: a row of app_public.notifications. */
export interface Notification {
  delivery: "at_least_once" | "at_most_once";
  id: number;
  event: string;
  title: string | null;
  message: string;
  data: Record<string, string>;
  priority: "high" | "normal";
  collapse_key: string | null;
  /** ISO 8601. */
  expires_at: string;
  is_silent: boolean;
}

/** Where it is sent: an FCM registration token, or a Firebase installation id. */
export interface Address {
  kind: "token" | "fid";
  token: string;
  /** The recipient's count of unread notifications, where the app's badge is to show it. */
  badge?: number | null;
}

/** FCM keeps nothing longer than four weeks, milliseconds. */
const MAX_TTL = 2_419_200_000;

/**
 * Maps a notification to FCM's three platforms (HTTP v1 `Message`): priority, what is left of its
 * life, and one tag by which a device replaces a repeat instead of showing it twice. A silent one is
 * data for the app alone.
 */
export function buildMessage(notification: Notification, address: Address, now: Date): Message {
  const { id, event, title, message, data, priority, collapse_key, expires_at } = notification;
  const ttl = Math.min(MAX_TTL, Math.max(0, Date.parse(expires_at) - now.getTime()));
  const tag = collapse_key ?? `notification-${id}`;
  const high = priority === "high";
  const shown = !notification.is_silent;
  const badge = address.badge ?? undefined;
  const aps = {
    ...(shown ? {} : { contentAvailable: true }),
    ...(badge === undefined ? {} : { badge }),
  };
  return {
    ...(address.kind === "fid" ? { fid: address.token } : { token: address.token }),
    ...(shown ? { notification: { body: message, ...(title === null ? {} : { title }) } } : {}),
    data: { ...data, notification_id: String(id), event },
    android: {
      priority,
      ttl,
      // Only on request: FCM keeps four collapse keys a device, and throttles what collapses.
      ...(collapse_key === null ? {} : { collapseKey: collapse_key }),
      ...(shown
        ? { notification: { tag, ...(badge === undefined ? {} : { notificationCount: badge }) } }
        : {}),
    },
    apns: {
      headers: {
        // APNs refuses a background push with priority 10.
        "apns-priority": high && shown ? "10" : "5",
        "apns-push-type": shown ? "alert" : "background",
        "apns-expiration": String(Math.floor((now.getTime() + ttl) / 1000)),
        "apns-collapse-id": tag,
      },
      payload: { aps },
    },
    webpush: {
      headers: {
        TTL: String(Math.floor(ttl / 1000)),
        Urgency: high ? "high" : "normal",
        ...(collapse_key === null ? {} : { Topic: topicOf(collapse_key) }),
      },
      ...(shown ? { notification: { tag } } : {}),
    },
  } as Message;
}

/** RFC 8030, 5.4: a topic has at most 32 characters of base64url. Hashed: two keys may begin alike. */
function topicOf(collapseKey: string): string {
  return createHash("sha256").update(collapseKey).digest("base64url").slice(0, 32);
}
