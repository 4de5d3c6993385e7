import { useEffect, useState } from "react";
import { useExact } from "./exact.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** A time in the zone of who looks; the exact instant on hover, or instead. */
export function When({
  at,
  absolute = false,
}: {
  at: string | null | undefined;
  absolute?: boolean;
}) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), MINUTE / 2);
    return () => clearInterval(timer);
  }, []);
  const [isExact] = useExact();
  if (at == null) return <span className="muted">–</span>;
  if (at === "infinity") return <span>when decided</span>;
  const instant = new Date(at);
  const isFuture = instant.getTime() > now + MINUTE;
  return (
    <time
      dateTime={instant.toISOString()}
      title={exactly(instant)}
      className={isExact ? "when exact" : "when"}
    >
      {isExact
        ? instant.toISOString()
        : absolute || isFuture
          ? onTheClock(instant, now)
          : ago(instant, now)}
    </time>
  );
}

export const exactly = (at: Date): string => `${full.format(at)} (${zone})\n${at.toISOString()}`;
export const atMinute = (at: Date): string => clock.format(at);
export const timeZone = zone;

function ago(at: Date, now: number): string {
  const age = now - at.getTime();
  if (age < MINUTE) return "just now";
  if (age < HOUR) return relative.format(-Math.round(age / MINUTE), "minute");
  return onTheClock(at, now);
}

function onTheClock(at: Date, now: number): string {
  const isToday = at.toDateString() === new Date(now).toDateString();
  if (isToday) return clock.format(at);
  const isThisYear = at.getFullYear() === new Date(now).getFullYear();
  return `${day.format(at)}${isThisYear ? "" : ` ${at.getFullYear()}`}, ${clock.format(at)}`;
}

/** When a notification goes out: at one instant, or at a time by each recipient's own clock. */
export function SendTime(props: { sendAt: string | null; sendAtLocal: string | null | undefined }) {
  const { sendAt, sendAtLocal } = props;
  if (sendAtLocal == null) return <When at={sendAt} />;
  return <span className="when">{byTheirClock(sendAtLocal)}</span>;
}

/** A time without a zone. */
export function byTheirClock(local: string): string {
  const at = new Date(local.replace(" ", "T"));
  return `${day.format(at)} ${at.getFullYear()}, ${clock.format(at)} by their clock`;
}

/** Milliseconds, as short as they can be said. */
export function lasting(milliseconds: number | null | undefined): string {
  if (milliseconds == null) return "–";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < MINUTE) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < HOUR) return `${Math.round(milliseconds / MINUTE)} min`;
  return `${(milliseconds / HOUR).toFixed(1)} h`;
}
