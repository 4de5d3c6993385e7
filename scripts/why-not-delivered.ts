import { at } from "./command.ts";
import type { DeliveryFacts, Facts } from "./delivery-facts.ts";

export interface Answer {
  /** For programs; docs/operating.md has them all. */
  reason: string;
  /** For people. */
  sentence: string;
}

/** Why a notification did not reach a user, or that it did, in one sentence. */
export function whyNotDelivered(facts: Facts): Answer {
  const { notification, user, deliveries } = facts;
  if (deliveries.length === 0) {
    const [reason, because] = withoutDelivery(facts);
    return {
      reason,
      sentence: `Notification ${notification} did not reach user ${user}: ${because}.`,
    };
  }
  const acknowledged = deliveries.find(({ status }) => status === "acknowledged");
  if (acknowledged) {
    const when = acknowledged.acknowledgedAt ? ` at ${at(acknowledged.acknowledgedAt)}` : "";
    return {
      reason: "acknowledged",
      sentence: `Notification ${notification} did reach user ${user}: the app on ${device(acknowledged)} said so${when}.`,
    };
  }
  const all = deliveries.map((delivery) => [delivery, ofDelivery(delivery, facts)] as const);
  const [, [reason]] =
    all.find(([{ status }]) => status === "accepted") ?? (all[0] as (typeof all)[0]);
  const said = all.map(([delivery, [, because]]) => `${device(delivery)} ${because}`);
  const known = reason === "accepted" ? "is not known to have reached" : "did not reach";
  return {
    reason,
    sentence: `Notification ${notification} ${known} user ${user}: ${said.join("; ")}.`,
  };
}

type Reason = readonly [reason: string, because: string];

function device({ device: id, platform }: DeliveryFacts): string {
  return `device ${id} (${platform})`;
}

function ofDelivery(delivery: DeliveryFacts, facts: Facts): Reason {
  const { error, sentAt, attempts } = delivery;
  switch (delivery.status) {
    case "accepted":
      return [
        "accepted",
        `was sent it, FCM accepted it${sentAt ? ` at ${at(sentAt)}` : ""}, but the app has not acknowledged it (the phone may be off, may show nothing, or the app does not call acknowledgeDelivery)`,
      ];
    case "dead_address":
      return ["dead_address", `has a dead address (${error}): the app has to register it anew`];
    case "failed":
      return ["failed", `was refused by FCM for good (${error})`];
    case "unknown":
      return [
        "unknown",
        `may have got it: FCM did not answer (${error}), and AT_MOST_ONCE does not try again`,
      ];
    case "expired":
      return [
        "expired",
        `had not been reached when it expired at ${at(facts.expiresAt)}${error ? ` (last answer: ${error})` : ""}`,
      ];
    case "canceled":
      return ["canceled", "had not been reached when it was canceled"];
    case "skipped":
      return skipped(delivery, facts);
    case "sending":
      return delivery.isWorkerAlive === false
        ? [
            "sending",
            "was being sent it by a worker that has died; another takes over within 30 seconds",
          ]
        : ["sending", "is being sent it at this moment"];
    default:
      return waiting(delivery, facts, attempts);
  }
}

function skipped({ error, deviceDisabledReason }: DeliveryFacts, facts: Facts): Reason {
  if (error === "PREFERENCE") return ["muted", `was skipped: the user has muted ${facts.event}`];
  if (error === "READ") {
    return [
      "read",
      `was skipped: it had been read${facts.readAt ? ` at ${at(facts.readAt)}` : ""}`,
    ];
  }
  const why = deviceDisabledReason ? `was disabled (${deviceDisabledReason})` : "changed hands";
  return ["device_gone", `${why} before it was sent`];
}

/** queued or retrying: what it waits for, the strongest hindrance first. */
function waiting(delivery: DeliveryFacts, facts: Facts, attempts: number): Reason {
  const { error, breaker, pause, nextAttemptAt, dueAt, devicePausedUntil } = delivery;
  const due = nextAttemptAt ?? dueAt;
  const isLater = due !== null && Date.parse(due) > Date.now();
  if (breaker !== null) {
    return [
      "breaker",
      `is held by circuit breaker ${breaker}, because suspiciously many addresses seemed dead: \`breaker:decide ${breaker} retry\` or \`tombstone\``,
    ];
  }
  if (pause !== null) {
    return [
      "paused",
      `waits: pushes are paused until ${at(pause.until)} (${pause.error}, pause ${pause.id})`,
    ];
  }
  if (error === "QUIET_HOURS" && isLater) {
    return ["quiet_hours", `waits for the end of the user's quiet hours at ${at(due)}`];
  }
  if (devicePausedUntil !== null) {
    return [
      "device_paused",
      `waits until ${at(devicePausedUntil)}: FCM wants fewer messages for it`,
    ];
  }
  if (facts.liveWorkers === 0) return ["no_worker", "waits for a worker, and none is alive"];
  if (attempts > 0 && error !== null) {
    return [
      "retrying",
      `was tried ${attempts === 1 ? "once" : `${attempts} times`}, FCM's last answer was ${error}${isLater ? `, and is tried again at ${at(due)}` : ""}`,
    ];
  }
  if (isLater)
    return ["waiting", `waits until ${at(due)}, in case it is read before (unreadSeconds)`];
  if (delivery.jobError !== null) {
    return ["job_failed", `waits: the job that sends it failed (${firstLine(delivery.jobError)})`];
  }
  return ["queued", "is next: its batch waits for a free worker"];
}

/** Nothing was written to the ledger for this user. */
function withoutDelivery(facts: Facts): Reason {
  const { isListed, audience, isRecipient, lastDisabled } = facts;
  if (audience === null && !isListed)
    return ["not_a_recipient", "they are not among its recipients"];
  if (facts.isLedgerDropped) {
    return ["ledger_dropped", "nobody can say, its ledger was dropped with its month"];
  }
  if (!isRecipient) return beforeFanOut(facts);
  if (facts.userDisabledAt !== null) {
    return ["user_disabled", `their account is disabled since ${at(facts.userDisabledAt)}`];
  }
  if (facts.liveDevices > 0) {
    return ["no_device", "they had no device yet when it was sent; it is in their inbox"];
  }
  if (lastDisabled) {
    return [
      "no_device",
      `they have no device any more, the last was disabled at ${at(lastDisabled.at)} (${lastDisabled.reason}); it is in their inbox`,
    ];
  }
  return ["no_device", "they have never registered a device; it is in their inbox"];
}

function beforeFanOut(facts: Facts): Reason {
  const { status, audience, fanOutDueAt, fanOutError } = facts;
  if (facts.userGoneAt !== null) {
    return ["user_gone", `they closed their account at ${at(facts.userGoneAt)}`];
  }
  if (status === "canceled") return ["canceled", "it was canceled before it came to them"];
  if (status === "expired" || Date.parse(facts.expiresAt) <= Date.now()) {
    return ["expired", `it expired at ${at(facts.expiresAt)} before it came to them`];
  }
  if (audience !== null && facts.isAudienceKnown && fanOutDueAt === null) {
    return ["not_a_recipient", `they were not in the audience ${audience} when it was looked up`];
  }
  if (fanOutDueAt !== null && Date.parse(fanOutDueAt) > Date.now()) {
    return ["scheduled", `it is due for them at ${at(fanOutDueAt)}`];
  }
  if (Date.parse(facts.sendAt) > Date.now()) {
    return [
      "scheduled",
      facts.sendAtLocal
        ? `it is due at ${facts.sendAtLocal.replace("T", " ")} by their own clock`
        : `it is due at ${at(facts.sendAt)}`,
    ];
  }
  const why =
    facts.liveWorkers === 0
      ? "no worker is alive"
      : fanOutError
        ? `its job failed (${firstLine(fanOutError)})`
        : "a worker is at it, or will be in a moment";
  return ["not_fanned_out", `it has not been fanned out to them: ${why}`];
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 200);
}
