import type { DatabaseError, Pool, PoolClient, QueryResult } from "pg";
import type { PgClientQuery } from "postgraphile/@dataplan/pg";
import { boundAnswer } from "./bounded-answer.ts";
import { isPooled } from "./pool.ts";
import { forgetPrepared, rememberPrepared, withName } from "./prepared-statements.ts";
import { type Outcome, queryWithSettings, type Statement } from "./request-query.ts";
import { isReadOnly, type RequestSettings } from "./request-settings.ts";

/** A statement of a request that waits for its answer. */
interface Asked {
  query: PgClientQuery;
  resolve(result: QueryResult): void;
  reject(error: unknown): void;
  /** Its prepared statement was outdated once; twice is an error like any other. */
  isPreparedAnew?: boolean;
}

export type RequestStatements = (
  settings: RequestSettings,
  identity: Statement,
  query: PgClientQuery,
) => Promise<QueryResult>;

/**
 * Statements of one transaction at most: with a statement's time-out of 10 s they end within what a request may take,
 * and what is quick alone does not wait for many that are slow.
 */
const MOST_TOGETHER = 3;

/**
 * Runs the statements of requests, each under its settings. What a query asks while it waits for a connection goes
 * out together, three to a connection and in one transaction: a list with its count takes one connection, and its session
 * is asked about once. Where one fails, those after it are asked again, without it. What may change something is alone in
 * its transaction.
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
      if (others && others.length < MOST_TOGETHER) {
        others.push(asked);
        return;
      }
      const together = [asked];
      waiting.set(settings, together);
      void run(identity, () => {
        if (waiting.get(settings) === together) waiting.delete(settings);
        return together;
      });
    });
}

/** @returns those that are to be asked again: they were not run, because one before them failed, or their plan was outdated */
async function runTogether(
  client: PoolClient,
  identity: Statement,
  together: readonly Asked[],
): Promise<Asked[]> {
  // A pooler in between may give the next transaction a connection on which nothing is prepared.
  const prepares = !isPooled(client);
  const statements = together.map(({ query }): Statement => {
    const { name, ...unnamed } = withName(query);
    if (!prepares || name === undefined) return unnamed;
    rememberPrepared(client, name);
    return { ...unnamed, name };
  });
  boundAnswer(client);
  const outcomes = await queryWithSettings(
    client,
    prepares ? identity : { ...identity, name: undefined },
    statements,
  );
  return together.filter((asked, index) => {
    const outcome = outcomes[index];
    const name = statements[index]?.name;
    if (outcome && name !== undefined && !asked.isPreparedAnew && isOutdated(outcome)) {
      asked.isPreparedAnew = true;
      forgetPrepared(client, name);
      return true;
    }
    return !settle(asked, outcome);
  });
}

/** SQLSTATEs of a prepared statement whose tables have changed since, or that is not there any more. */
function isOutdated(outcome: NonNullable<Outcome>): boolean {
  const { code, message } = ("error" in outcome ? outcome.error : {}) as Partial<DatabaseError>;
  return code === "26000" || (code === "0A000" && message?.startsWith("cached plan") === true);
}

/** Whether it was run. */
function settle({ resolve, reject }: Asked, outcome: Outcome): boolean {
  if (!outcome) return false;
  if ("error" in outcome) reject(outcome.error);
  else resolve(outcome.result);
  return true;
}
