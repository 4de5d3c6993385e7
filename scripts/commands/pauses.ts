import { at, type Command, CommandError, idOf, UsageError } from "../command.ts";

const PLATFORMS = ["ios", "android", "web", "all"];
/** A pause is an answer to an emergency: it ends by itself within a day. */
const MOST_MINUTES = 1440;

export const pauses: Command = {
  usage: "",
  args: 0,
  summary: "shows what is paused, and addresses whose death an operator has to confirm",
  async run({ database }) {
    const { rows: found } = await database.query(
      `select id, coalesce(device_type::text, 'all') as platform, error_code as error, occurrences,
         paused_until
       from app_public.push_pauses where ended_at is null order by id`,
    );
    const { rows: breakers } = await database.query(
      `select id, device_type as platform, deliveries, created_at
       from app_public.circuit_breakers where decided_at is null order by id`,
    );
    return {
      json: { pauses: found, circuitBreakers: breakers },
      text: [
        found.length === 0 ? "Nothing is paused." : found,
        breakers.length === 0 ? "No circuit breaker is open." : breakers,
      ],
    };
  },
};

export const pause: Command = {
  usage: "--platform ios|android|web|all --minutes N [--reason TEXT]",
  args: 0,
  summary: "holds pushes back: nothing is lost, what is due waits and goes out afterwards",
  details:
    "What a worker is sending at this moment still goes out. A pause ends by itself, or with pause:lift;\n" +
    "to hold a platform that is paused already for longer, pause it again.",
  examples: ['pause --platform ios --minutes 30 --reason "APNs key is being replaced"'],
  options: {
    platform: { value: "NAME", help: "ios, android, web, or all of them" },
    minutes: { value: "N", help: `how long, 1 to ${MOST_MINUTES} minutes` },
    reason: { value: "TEXT", help: "for the next operator who looks; part of `pauses`" },
  },
  async run({ database, options: { platform, minutes, reason } }) {
    if (!PLATFORMS.includes(String(platform))) {
      throw new UsageError("Which platform? --platform ios, android, web or all.");
    }
    const time = Number(minutes);
    if (!Number.isInteger(time) || time < 1 || time > MOST_MINUTES) {
      throw new UsageError(`For how long? --minutes takes 1 to ${MOST_MINUTES}.`);
    }
    const code = reason ? `OPERATOR: ${String(reason).slice(0, 200)}` : "OPERATOR";
    await database.query("select app_private.pause_pushes($1, $2, $3, 0)", [
      platform === "all" ? null : platform,
      code,
      time * 60,
    ]);
    const { rows } = await database.query<{ id: number; paused_until: Date }>(
      `select id, paused_until from app_public.push_pauses
       where ended_at is null and error_code = $1 and device_type is not distinct from $2`,
      [code, platform === "all" ? null : platform],
    );
    const [row] = rows;
    if (!row) throw new CommandError("It was lifted at this very moment.");
    return {
      json: { id: row.id, platform, pausedUntil: row.paused_until },
      text: [
        `Pushes to ${platform === "all" ? "all platforms" : platform} are paused until ${at(row.paused_until)} (pause ${row.id}).`,
      ],
    };
  },
};

export const pauseLift: Command = {
  usage: "PAUSE_ID",
  args: 1,
  summary: "ends a pause; what waited for it is sent now",
  async run({ database, args: [id] }) {
    await database.query("select app_public.lift_push_pause($1)", [idOf(id, "pause")]);
    return { json: { id: Number(id), lifted: true }, text: [`Pause ${id} is over.`] };
  },
};

export const breakerDecide: Command = {
  usage: "BREAKER_ID retry|tombstone",
  args: 2,
  summary: "sends again to addresses that seemed dead, or disables their devices",
  async run({ database, args: [id, decision], progress }) {
    const breaker = idOf(id, "circuit breaker");
    if (decision !== "retry" && decision !== "tombstone") {
      throw new UsageError("Which decision? retry or tombstone.");
    }
    progress("deciding");
    await database.query("select app_public.decide_circuit_breaker($1, $2)", [breaker, decision]);
    return { json: { id: breaker, decision }, text: [`Circuit breaker ${id}: ${decision}.`] };
  },
};
