import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Identity } from "../auth/access-tokens.ts";
import type { RequestSettings } from "../database/request-settings.ts";
import { ApiError } from "../errors.ts";
import { UNAVAILABLE_MESSAGE } from "./errors.ts";
import { createEventQueue, type EventQueue } from "./event-queue.ts";
import type { LiveEvents } from "./live-events.ts";

/** Changes that are judged in one statement. */
const MAX_BATCH = 100;

type Columns = Record<string, unknown>;

/** What app_private.tg__publish_changes tells of a row. */
interface Change {
  op: "INSERT" | "UPDATE" | "DELETE";
  id: unknown;
  /** The columns by which subscribers choose; absent where there was no row, or where they were too long to be told. */
  before?: Columns;
  after?: Columns;
  /** For the policies: the other columns that they look at, as they were. Carried as it is. */
  asked?: string;
  /** Those were too long. */
  untold?: true;
  /** Whose it was and is, where only its owner may read it; then nobody else of role howdah_user is asked about. */
  owners?: unknown[];
}

/** What a subscriber gets: which row, to be read again under their own policies. */
export interface LiveChange {
  /** Null in the initial event. */
  operation: Change["op"] | null;
  id: unknown;
}

export interface LiveRequest {
  /** As `schema.table`. */
  table: string;
  identity: Identity;
  /** Columns and the values that a row must have, before the change or after it. */
  matches: Columns;
  /** Comes first and at once: the subscription is in force. */
  initial?: LiveChange;
}

/** Changes of tables with the tag @live, each told to those who may read the row. */
export interface LiveTables {
  /** @throws {ApiError} UNAUTHENTICATED, FORBIDDEN, UNAVAILABLE */
  subscribe(request: LiveRequest): Promise<AsyncIterableIterator<LiveChange>>;
}

interface Subscriber {
  whose: string;
  /** The same for all who are the same to every policy. */
  viewer: string;
  settings: RequestSettings;
  matches: [string, unknown][];
  queue: EventQueue<LiveChange>;
}

interface Table {
  name: string;
  /** By user; operators and those who are not logged in by their role. */
  subscribers: Map<string, Set<Subscriber>>;
  pending: { change: Change; subscribers: Subscriber[] }[];
  judging: boolean;
}

type Verdict = "seen" | "gone" | "hidden" | "forbidden" | "ended";

export function createLiveTables(options: {
  pool: Pool;
  liveEvents: LiveEvents;
  logger: Logger;
}): LiveTables {
  const { pool, liveEvents, logger } = options;
  const tables = new Map<string, Table>();

  /** One topic of this process's LISTEN connection for each table that somebody looks at. */
  function tableOf(name: string): Table {
    const known = tables.get(name);
    if (known) return known;
    const events = liveEvents.subscribe(`changes:${name}`);
    const table: Table = { name, subscribers: new Map(), pending: [], judging: false };
    tables.set(name, table);
    void follow(table, events as AsyncIterableIterator<Change[]>);
    return table;
  }

  async function follow(table: Table, events: AsyncIterableIterator<Change[]>): Promise<void> {
    let reason: Error | undefined;
    try {
      for await (const changes of events) {
        for (const change of changes) {
          const subscribers = candidates(table, change).filter(({ matches }) =>
            fits(change, matches),
          );
          if (subscribers.length > 0) table.pending.push({ change, subscribers });
        }
        void judge(table);
      }
    } catch (error) {
      reason = error as Error;
    }
    tables.delete(table.name);
    for (const { queue } of everybody(table)) {
      if (reason) queue.fail(reason);
      else queue.end();
    }
  }

  /** One statement at a time and table, so that everybody is told in order. */
  async function judge(table: Table): Promise<void> {
    if (table.judging) return;
    table.judging = true;
    while (table.pending.length > 0) {
      const batch = table.pending.splice(0, MAX_BATCH);
      const viewers = new Map<string, { settings: RequestSettings; position: number }>();
      for (const { viewer, settings } of batch.flatMap(({ subscribers }) => subscribers)) {
        if (!viewers.has(viewer)) viewers.set(viewer, { settings, position: viewers.size });
      }
      try {
        const { rows } = await pool.query<{ verdicts: Verdict[][] }>({
          name: "judge_changes",
          text: "select app_private.judge_changes($1, $2::jsonb, $3::jsonb) as verdicts",
          values: [
            table.name,
            JSON.stringify(batch.map(({ change }) => change)),
            JSON.stringify([...viewers.values()].map(({ settings }) => settings)),
          ],
        });
        const verdicts = rows[0]?.verdicts ?? [];
        for (const [index, { change, subscribers }] of batch.entries()) {
          for (const subscriber of subscribers) {
            const position = viewers.get(subscriber.viewer)?.position as number;
            tell(subscriber, change, verdicts[position]?.[index]);
          }
        }
      } catch (error) {
        logger.warn(
          { error: (error as Error).message, table: table.name },
          "changes were not told",
        );
        for (const { queue } of batch.flatMap(({ subscribers }) => subscribers)) {
          queue.fail(
            new ApiError("UNAVAILABLE", UNAVAILABLE_MESSAGE, {
              hint: "Subscribe again, then fetch again.",
            }),
          );
        }
      }
    }
    table.judging = false;
  }

  return {
    async subscribe({ table: name, identity, matches, initial }) {
      const { settings } = identity;
      const given = Object.entries(matches).filter(([, value]) => value != null);
      const values = await inTheirTypes(pool, name, given);
      const table = tableOf(name);
      const queue = createEventQueue<LiveChange>(() => remove(table, subscriber));
      const subscriber: Subscriber = {
        whose: whose(settings.role, identity.userId),
        viewer: `${settings.role} ${identity.userId} ${identity.sessionId}`,
        settings,
        matches: values,
        queue,
      };
      // Before the right is asked about, which takes a moment: no change is missed.
      add(table, subscriber);
      if (initial) queue.push(initial);
      try {
        if (!(await mayRead(pool, name, settings.role as string))) {
          throw forbidden(settings.role as string);
        }
      } catch (error) {
        queue.end();
        throw error;
      }
      return queue.iterator;
    },
  };
}

/** Only users are told apart: an operator may have policies of their own. */
function whose(role: string | undefined, userId: unknown): string {
  return role === "howdah_user" ? `user ${userId}` : `${role}`;
}

function add({ subscribers }: Table, subscriber: Subscriber): void {
  const same = subscribers.get(subscriber.whose);
  if (same) same.add(subscriber);
  else subscribers.set(subscriber.whose, new Set([subscriber]));
}

function remove({ subscribers }: Table, subscriber: Subscriber): void {
  const same = subscribers.get(subscriber.whose);
  same?.delete(subscriber);
  if (same?.size === 0) subscribers.delete(subscriber.whose);
}

function everybody({ subscribers }: Table): Subscriber[] {
  return [...subscribers.values()].flatMap((same) => [...same]);
}

/** Who may be concerned; whether they are is judged by the policies. */
function candidates(table: Table, { owners }: Change): Subscriber[] {
  if (!owners) return everybody(table);
  const concerned = new Set([
    ...owners.map((owner) => whose("howdah_user", owner)),
    "howdah_operator",
    "howdah_anonymous",
  ]);
  return [...concerned].flatMap((one) => [...(table.subscribers.get(one) ?? [])]);
}

async function mayRead(pool: Pool, table: string, role: string): Promise<boolean> {
  const { rows } = await pool.query<{ may: boolean }>({
    name: "may_read",
    text: "select app_private.reading_rule($1, $2) is not null as may",
    values: [table, role],
  });
  return rows[0]?.may ?? false;
}

/**
 * As events tell them: a client may write a uuid in capitals. Numbers are the same however they are written.
 * @throws {DatabaseError} where one is no value of its column
 */
async function inTheirTypes(
  pool: Pool,
  table: string,
  given: [string, unknown][],
): Promise<[string, unknown][]> {
  if (given.every(([, value]) => typeof value === "number")) return given;
  const { rows } = await pool.query<{ values: Columns }>({
    name: "live_values",
    text: "select app_private.live_values($1, $2::jsonb) as values",
    values: [table, JSON.stringify(Object.fromEntries(given))],
  });
  return Object.entries(rows[0]?.values ?? {});
}

function fits({ before, after }: Change, matches: [string, unknown][]): boolean {
  // Keys of several kilobytes fit everybody: who may read it is judged after this.
  if (!before && !after) return true;
  return matches.every(([column, value]) =>
    [before, after].some((row) => row !== undefined && String(row[column]) === String(value)),
  );
}

function tell({ queue, settings }: Subscriber, change: Change, verdict: Verdict | undefined): void {
  switch (verdict) {
    case "seen":
      queue.push({ operation: change.op, id: change.id });
      break;
    case "gone":
      queue.push({ operation: "DELETE", id: change.id });
      break;
    case "forbidden":
      queue.fail(forbidden(settings.role as string));
      break;
    case "ended":
      queue.fail(
        new ApiError("SESSION_REVOKED", "This session has ended.", { hint: "Log in again." }),
      );
  }
}

function forbidden(role: string): ApiError {
  return role === "howdah_anonymous"
    ? new ApiError("UNAUTHENTICATED", "Log in first.")
    : new ApiError("FORBIDDEN", "You may not read this.");
}
