import type { Phone } from "./phones.ts";
import { type Shown, shownOn } from "./platforms.ts";
import { type KeptMessage, readMessage } from "./received.ts";

/** A message for whoever looks: as it was sent, and as each platform shows it. */
export function messageView(kept: KeptMessage) {
  const received = readMessage(kept);
  const on = (platform: "android" | "apns" | "webpush") =>
    shownOn(platform, received.message, kept.at);
  return {
    ...received,
    shown: { android: on("android"), apns: on("apns"), webpush: on("webpush") },
  };
}

export function phoneView(phone: Phone, topics: string[]) {
  const { token, platform, online, discarded } = phone;
  return {
    token,
    platform,
    online,
    topics,
    messages: phone.messages.map(messageView),
    tray: tray(phone),
    stored: phone.stored.map(({ kept, key, expiresAt }) => ({
      name: kept.name,
      collapseKey: key,
      expiresAt: new Date(expiresAt).toISOString(),
    })),
    discarded,
  };
}

/** What stands in the list of notifications: a newer one replaces the older with the same tag. */
function tray({ platform, messages }: Phone) {
  const standing = new Map<string, Pick<Shown, "title" | "body" | "tag"> & { name: string }>();
  for (const kept of messages) {
    const { visible, title, body, tag } = shownOn(platform, readMessage(kept).message, kept.at);
    if (!visible) continue;
    const key = tag === null ? `name ${kept.name}` : `tag ${tag}`;
    standing.delete(key);
    standing.set(key, { name: kept.name, title, body, tag });
  }
  return [...standing.values()];
}
