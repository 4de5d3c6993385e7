import type { DeliveryStatus, NotificationStatus } from "../graphql/generated.ts";

type Tone = "good" | "wait" | "bad" | "idle";

const TONES: Readonly<Record<NotificationStatus | DeliveryStatus, Tone>> = {
  SCHEDULED: "wait",
  SENDING: "wait",
  SENT: "good",
  PARTIAL: "bad",
  FAILED: "bad",
  NO_DEVICES: "idle",
  CANCELED: "idle",
  EXPIRED: "bad",
  QUEUED: "wait",
  ACCEPTED: "good",
  ACKNOWLEDGED: "good",
  RETRYING: "wait",
  DEAD_ADDRESS: "bad",
  UNKNOWN: "bad",
  SKIPPED: "idle",
};

/** A status in words; its colour says it again. */
export function Status({ of }: { of: NotificationStatus | DeliveryStatus }) {
  return (
    <span className="status" data-tone={TONES[of]}>
      {inWords(of)}
    </span>
  );
}

/** NO_DEVICES → No devices. */
export function inWords(constant: string): string {
  const words = constant.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const PLATFORMS: Readonly<Record<string, string>> = { IOS: "iOS", ANDROID: "Android", WEB: "Web" };
export const platform = (deviceType: string): string => PLATFORMS[deviceType] ?? deviceType;

const numbers = new Intl.NumberFormat();
export const count = (value: number | null | undefined): string => numbers.format(value ?? 0);
/** "1 device", "2 devices". */
export const counted = (
  value: number | null | undefined,
  thing: string,
  things = `${thing}s`,
): string => `${count(value)} ${value === 1 ? thing : things}`;
