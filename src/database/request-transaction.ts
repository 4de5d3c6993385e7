import type { Socket } from "node:net";
import type { PoolClient, QueryResult } from "pg";
import type { PgClientQuery, PgClientResult } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import { traced } from "../request-scope.ts";
import { boundAnswer } from "./bounded-answer.ts";
import { rememberPrepared } from "./prepared-statements.ts";
import type { NamedStatement } from "./request-settings.ts";

/**
 * One transaction under the settings of a request: `begin`, the settings, the statements and `commit` go out
 * without waiting for each other (the pool's clients have `pipeline: true`); a failure of any leaves an aborted
 * transaction, in which nothing that follows runs.
 */
export async function inRequestTransaction<T>(
  client: PoolClient,
  identity: NamedStatement,
  callback: (client: NodePostgresPgClient) => T | Promise<T>,
): Promise<T> {
  boundAnswer(client);
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  const beginning = corked(stream, () => begin(client, identity));
  // It may fail before anybody waits for it; both ways below do.
  beginning.catch(() => {});
  try {
    const result = await callback(wrapClient(client, 1, beginning));
    await beginning;
    await client.query("commit");
    return result;
  } catch (error) {
    // What failed first is the reason; what came after only found an aborted transaction.
    const cause = await beginning.then(
      () => error,
      (reason: unknown) => reason,
    );
    await client.query("rollback").catch(() => {
      // The connection is gone, and the transaction with it: `cause` says so already.
    });
    throw cause;
  }
}

/** What is sent before anybody waits goes out in one system call. */
function corked<T>(stream: Socket, send: () => T): T {
  stream.cork();
  try {
    return send();
  } finally {
    process.nextTick(() => stream.uncork());
  }
}

async function begin(client: PoolClient, identity: NamedStatement): Promise<void> {
  const results = await Promise.allSettled([client.query("begin"), client.query(identity)]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** A client as PostGraphile knows it, so deep within transactions. */
export function wrapClient(
  client: PoolClient,
  level: number,
  beginning?: Promise<void>,
): NodePostgresPgClient {
  return {
    rawClient: client,
    async query<TData>(query: PgClientQuery): Promise<PgClientResult<TData>> {
      try {
        const { rows, rowCount } = await traced(query.text, () => send(client, query));
        return { rows: rows as TData[], rowCount, notices: [] };
      } catch (error) {
        // In an aborted transaction the reason is what aborted it.
        await beginning;
        throw error;
      }
    },
    async withTransaction(callback) {
      const [open, close, undo] =
        level === 0
          ? ["begin", "commit", "rollback"]
          : [
              `savepoint s${level}`,
              `release savepoint s${level}`,
              `rollback to savepoint s${level}`,
            ];
      await client.query(open);
      try {
        const result = await callback(wrapClient(client, level + 1, beginning));
        await client.query(close);
        return result;
      } catch (error) {
        await client.query(undo).catch(() => {
          // As above: the connection is gone, `error` says so.
        });
        throw error;
      }
    },
  };
}

function send(client: PoolClient, query: PgClientQuery): Promise<QueryResult> {
  const { text, name, values } = query;
  if (name !== undefined) rememberPrepared(client, name);
  const options = { text, values: values as unknown[], ...(name === undefined ? {} : { name }) };
  return query.arrayMode
    ? (client.query({ ...options, rowMode: "array" }) as Promise<QueryResult>)
    : client.query(options);
}
