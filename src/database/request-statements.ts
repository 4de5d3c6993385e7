import type { Pool, PoolClient, QueryResult } from "pg";
import type { PgClientQuery } from "postgraphile/@dataplan/pg";
import { boundAnswer } from "./bounded-answer.ts";
import { isPooled } from "./pool.ts";
import { rememberPrepared, withName } from "./prepared-statements.ts";
import { type Outcome, queryWithSettings, type Statement } from "./request-query.ts";
import { isReadOnly, type RequestSettings } from "./request-settings.ts";

/** A statement of a request that waits for its answer. */
interface Asked {
  query: PgClientQuery;
  resolve(result: QueryResult): void;
  reject(error: unknown): void;
}

export type RequestStatements = (
  settings: RequestSettings,
  identity: Statement,
  query: PgClientQuery,
) => Promise<QueryResult>;

/**
 * Runs the statements of requests, each under its settings. What a query asks while it waits for a connection goes
 * out together, on that one connection and in one transaction: a query with ten fields takes no more of the pool
 * than one with a single field, and its session is asked about once. Where one fails, those after it are asked
 * again, without it. What may change something is alone in its transaction.
 */
export function createRequestStatements(pool: Pool): RequestStatements {
  const waiting = new WeakMap<RequestSettings, Asked[]>();

  async function run(identity: Statement, take: () => Asked[]): Promise<void> {
    let together: Asked[] = [];
    try {
      const client = await pool.connect();
      together = take();
      try {
        while (together.length > 0) together = await runTogether(client, identity, together);
      } finally {
        client.release();
      }
    } catch (error) {
      if (together.length === 0) together = take();
      for (const { reject } of together) reject(error);
    }
  }

  return (settings, identity, query) =>
    new Promise((resolve, reject) => {
      const asked = { query, resolve, reject };
      if (!isReadOnly(settings)) {
        void run(identity, () => [asked]);
        return;
      }
      const others = waiting.get(settings);
      if (others) {
        others.push(asked);
        return;
      }
      const together = [asked];
      waiting.set(settings, together);
      void run(identity, () => {
        waiting.delete(settings);
        return together;
      });
    });
}

/** @returns those that were not run, because one before them failed */
async function runTogether(
  client: PoolClient,
  identity: Statement,
  together: readonly Asked[],
): Promise<Asked[]> {
  // A pooler in between may give the next transaction a connection on which nothing is prepared.
  const prepares = !isPooled(client);
  const statement = (query: PgClientQuery): Statement => {
    const { name, ...unnamed } = withName(query);
    if (!prepares || name === undefined) return unnamed;
    rememberPrepared(client, name);
    return { ...unnamed, name };
  };
  boundAnswer(client);
  const outcomes = await queryWithSettings(
    client,
    prepares ? identity : { ...identity, name: undefined },
    together.map(({ query }) => statement(query)),
  );
  return together.filter((asked, index) => !settle(asked, outcomes[index]));
}

/** Whether it was run. */
function settle({ resolve, reject }: Asked, outcome: Outcome): boolean {
  if (!outcome) return false;
  if ("error" in outcome) reject(outcome.error);
  else resolve(outcome.result);
  return true;
}
