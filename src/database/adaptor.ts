import type { Pool, PoolClient } from "pg";
import type { PgClientQuery, PgClientResult, WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import { ApiError } from "../errors.ts";
import { traced } from "../request-scope.ts";
import type { Replica } from "./replica.ts";
import { isReading, readFromReplica } from "./replica-reads.ts";
import {
  identification,
  isSubscribing,
  type RequestSettings,
  replicaIdentification,
} from "./request-settings.ts";
import { createRequestStatements } from "./request-statements.ts";
import { inRequestTransaction, wrapClient } from "./request-transaction.ts";
import { againWhereRolledBack } from "./rolled-back.ts";
import { shareReads } from "./shared-reads.ts";

/**
 * How PostGraphile reaches PostgreSQL. Each use is one transaction that becomes the request's role
 * and first asks whether the session still lives: one round trip for a statement by itself, and for up to
 * three that a query asks at the same time (request-statements.ts). Where more is to be in one transaction,
 * request-transaction.ts. What a deadlock rolls back is run again: callbacks do nothing but ask PostgreSQL.
 */
export function createWithPgClient(
  pool: Pool,
  verified: WeakSet<object>,
  replica?: Replica,
): WithPgClient<NodePostgresPgClient> {
  const statements = createRequestStatements(pool);

  async function inItsName<T>(settings: RequestSettings, run: () => Promise<T>): Promise<T> {
    try {
      const result = await againWhereRolledBack(run);
      verified.add(settings);
      return result;
    } catch (error) {
      throw forSomebody(error, settings);
    }
  }

  const onPrimary: WithPgClient<NodePostgresPgClient> = async (given, callback) => {
    const settings = given as RequestSettings;
    const identity = identification(settings);
    const client: Pick<NodePostgresPgClient, "query" | "withTransaction"> = {
      async query<TData>(query: PgClientQuery): Promise<PgClientResult<TData>> {
        const { rows, rowCount } = await inItsName(settings, () =>
          traced(query.text, () => statements(settings, identity, query)),
        );
        return { rows: rows as TData[], rowCount, notices: [] };
      },
      withTransaction: (act) =>
        inItsName(settings, () =>
          withClient(pool, (own) => inRequestTransaction(own, identity, act)),
        ),
    };
    return callback(client as NodePostgresPgClient);
  };

  const sharedReads = shareReads(onPrimary);
  const replicaStatements = replica && createRequestStatements(replica.pool);
  const replicaReads =
    replica &&
    replicaStatements &&
    readFromReplica({
      primary: pool,
      replica,
      verified,
      onPrimary,
      async onReplica(settings, transactionId, query) {
        try {
          const identity = replicaIdentification(settings, transactionId);
          const { rows, rowCount } = await traced(query.text, () =>
            replicaStatements(settings, identity, query),
          );
          return { rows, rowCount, notices: [] };
        } catch (error) {
          throw forSomebody(error, settings);
        }
      },
    });

  const withPgClient: WithPgClient<NodePostgresPgClient> = async (settings, callback) => {
    if (settings == null) return withClient(pool, (client) => callback(wrapClient(client, 0)));
    if (isSubscribing(settings)) return sharedReads(settings, callback);
    if (replicaReads && isReading(settings)) return replicaReads(settings, callback);
    return onPrimary(settings, callback);
  };
  // The pool belongs to whoever made it.
  withPgClient.release = () => {};
  return withPgClient;
}

async function withClient<T>(
  pool: Pool,
  act: (client: PoolClient) => T | PromiseLike<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    return await act(client);
  } finally {
    client.release();
  }
}

/** Nobody is told to log in; somebody who may not is told so. */
function forSomebody(error: unknown, settings: RequestSettings): unknown {
  const { code } = error as { code?: string };
  if (code !== "42501" || settings.role !== "howdah_anonymous") return error;
  return new ApiError("UNAUTHENTICATED", "Log in first.", {}, { cause: error });
}
