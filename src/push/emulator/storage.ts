import type { Phone } from "./phones.ts";
import { shownOn } from "./platforms.ts";
import { type KeptMessage, readMessage } from "./received.ts";
import { MAX_TTL } from "./validate.ts";

/** A message that FCM keeps for a phone that is away. */
export interface Stored {
  kept: KeptMessage;
  /** Collapse key, or null. */
  key: string | null;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** FCM's own limits for one phone. */
const MAX_COLLAPSE_KEYS = 4;
const MAX_STORED = 100;

/** Keeps a message as FCM does: one for each collapse key, and all others up to a hundred. */
export function storeMessage(phone: Phone, kept: KeptMessage): "STORED" | "DROPPED" {
  const { collapseKey, ttl } = shownOn(phone.platform, readMessage(kept).message, kept.at);
  // Now or never.
  if (ttl === 0) return "DROPPED";
  let stored = phone.stored.filter(
    ({ key, expiresAt }) => (key === null || key !== collapseKey) && expiresAt > kept.at,
  );
  const withKey = stored.filter(({ key }) => key !== null);
  if (collapseKey !== null && withKey.length >= MAX_COLLAPSE_KEYS) {
    // FCM does not promise which one goes.
    stored = stored.filter((one) => one !== withKey[0]);
  }
  if (collapseKey === null && stored.length - withKey.length >= MAX_STORED) {
    stored = withKey;
    phone.discarded = true;
  }
  stored.push({ kept, key: collapseKey, expiresAt: kept.at + (ttl ?? MAX_TTL) * 1000 });
  phone.stored = stored;
  return "STORED";
}

/** Characters that are stored for a phone. */
export function storedText(phone: Phone | undefined): number {
  return phone?.stored.reduce((sum, { kept }) => sum + kept.body.length, 0) ?? 0;
}
