import type { Pool } from "pg";
import type { PgClientQuery, WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import { ApiError } from "../errors.ts";
import type { Replica } from "./replica.ts";
import type { RequestSettings } from "./request-settings.ts";

/** The settings of requests that only read, and that may be shown what is a moment old. */
const reading = new WeakSet<object>();

export function markReading(settings: RequestSettings): void {
  reading.add(settings);
}

export function isReading(settings: object): boolean {
  return reading.has(settings);
}

type Answer = Awaited<ReturnType<NodePostgresPgClient["query"]>>;

/**
 * Reads from the replica what may be read there, and all else from the primary. The primary is asked once
 * for each request: whether the session lives, and what of its user's own changes the replica must have
 * replayed. Whatever goes wrong on the replica, the primary's answer is the one that counts.
 */
export function readFromReplica(options: {
  primary: Pool;
  replica: Replica;
  /** The settings of requests whose session is known to live. */
  verified: WeakSet<object>;
  onPrimary: WithPgClient<NodePostgresPgClient>;
  /** @param transactionId that must have been replayed, if any */
  onReplica: (
    settings: RequestSettings,
    transactionId: string | null,
    query: PgClientQuery,
  ) => Promise<Answer>;
}): WithPgClient<NodePostgresPgClient> {
  const { primary, replica, verified, onPrimary, onReplica } = options;
  const ownWrites = new WeakMap<object, Promise<string | null>>();

  /** @throws the HWREV error of app_private.verify_session where the session has ended */
  function ownWrite(settings: RequestSettings): Promise<string | null> {
    let asked = ownWrites.get(settings);
    if (!asked) {
      asked = lastWriteOf(primary, settings).then((transactionId) => {
        verified.add(settings);
        return transactionId;
      });
      ownWrites.set(settings, asked);
    }
    return asked;
  }

  async function read(settings: RequestSettings, query: PgClientQuery): Promise<Answer> {
    if (replica.isUsable()) {
      const transactionId = await ownWrite(settings);
      try {
        const answer = await onReplica(settings, transactionId, query);
        replica.counted("replica");
        return answer;
      } catch (error) {
        const { code } = error as { code?: string };
        // Of a time-out the primary would die as well, and take longer.
        if (error instanceof ApiError || code === "57014") throw error;
        if (code === undefined || /^(08|28|53|57)/.test(code)) replica.failed(error);
      }
    }
    replica.counted("primary");
    return onPrimary(settings, (client) => client.query(query));
  }

  const withPgClient: WithPgClient<NodePostgresPgClient> = (settings, callback) => {
    const client = {
      query: (query: PgClientQuery) =>
        // PostGraphile's own statements; what TypeScript asks may want them in one transaction.
        query.arrayMode
          ? read(settings as RequestSettings, query)
          : onPrimary(settings, (own) => own.query(query)),
      withTransaction: (act: never) => onPrimary(settings, (own) => own.withTransaction(act)),
    } as unknown as NodePostgresPgClient;
    return Promise.resolve(callback(client));
  };
  withPgClient.release = () => {};
  return withPgClient;
}

async function lastWriteOf(primary: Pool, settings: RequestSettings): Promise<string | null> {
  const { "jwt.claims.session_id": session, "jwt.claims.user_id": user, role } = settings;
  if (!session) return null;
  const { rows } = await primary.query<{ wrote: string | null }>({
    name: "verify_reader",
    text: "select app_private.verify_reader($1::int, $2::int, $3)::text as wrote",
    values: [session, user, role],
  });
  return rows[0]?.wrote ?? null;
}
