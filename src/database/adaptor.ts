import type { Socket } from "node:net";
import type { Pool, PoolClient, QueryConfig, QueryResult } from "pg";
import type { PgClientQuery, PgClientResult, WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import { ApiError } from "../errors.ts";
import { answerTooLarge } from "../http/answer-size.ts";
import { currentRequest } from "../request-scope.ts";
import { rememberPrepared, withName } from "./prepared-statements.ts";
import type { Replica } from "./replica.ts";
import { isReading, readFromReplica } from "./replica-reads.ts";
import { isPrepared, type PreparedStatement, queryWithSettings } from "./request-query.ts";
import { againWhereRolledBack } from "./rolled-back.ts";
import { shareReads } from "./shared-reads.ts";

/** Settings of one request's transactions: `role` always, the claims where somebody is logged in. */
export type RequestSettings = Record<string, string>;

/** The settings of subscriptions: what they read is shared. */
const subscribing = new WeakSet<object>();

export function markSubscription(settings: RequestSettings): void {
  subscribing.add(settings);
}

/**
 * How PostGraphile reaches PostgreSQL. Each use is one transaction that becomes the request's role
 * and first asks whether the session still lives: one round trip. Where that is one statement, it goes with
 * the settings up to one Sync (request-query.ts). Else `begin`, the settings, the statements and `commit` go
 * out without waiting for each other (the pool's clients have `pipeline: true`); a failure of any leaves an
 * aborted transaction, in which nothing that follows runs. What a deadlock rolls back is run again: callbacks
 * do nothing but ask PostgreSQL.
 */
export function createWithPgClient(
  pool: Pool,
  verified: WeakSet<object>,
  replica?: Replica,
): WithPgClient<NodePostgresPgClient> {
  const withPgClient: WithPgClient<NodePostgresPgClient> = async (settings, callback) => {
    if (settings == null) return withClient(pool, (client) => callback(wrapClient(client, 0)));
    if (subscribing.has(settings)) return sharedReads(settings, callback);
    if (replicaReads && isReading(settings)) return replicaReads(settings, callback);
    return onPrimary(settings, callback);
  };
  const onPrimary: WithPgClient<NodePostgresPgClient> = (given, callback) => {
    const settings = given as RequestSettings;
    return againWhereRolledBack(() =>
      withClient(pool, async (client) => {
        const identity = identification(settings);
        const result = await inRequestTransaction(client, settings, identity, callback);
        verified.add(settings);
        return result;
      }),
    );
  };
  const sharedReads = shareReads(onPrimary);
  const replicaReads =
    replica &&
    readFromReplica({
      primary: pool,
      replica,
      verified,
      onPrimary,
      onReplica: (settings, transactionId, query) =>
        withClient(replica.pool, (client) => {
          const identity = replicaIdentification(settings, transactionId);
          return inRequestTransaction(client, settings, identity, (own) => own.query(query));
        }),
    });
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

/** @throws the HWREV error of app_private.verify_session where the session has ended. */
export async function verifySession(
  client: Pick<Pool, "query">,
  settings: RequestSettings,
): Promise<void> {
  await client.query(verification(settings));
}

async function inRequestTransaction<T>(
  client: PoolClient,
  settings: RequestSettings,
  identity: PreparedStatement & QueryConfig,
  callback: (client: NodePostgresPgClient) => T | Promise<T>,
): Promise<T> {
  if (!settings.role) throw new Error("A request must have a role.");
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  boundAnswer(stream);
  let single: Promise<QueryResult> | undefined;
  let transaction: Transaction | undefined;
  let opened: NodePostgresPgClient | undefined;

  function open(): NodePostgresPgClient {
    if (single) throw new Error("This transaction has its one statement already.");
    if (opened) return opened;
    transaction = { beginning: begin(client, identity) };
    // It may fail before anybody waits for it; both ways below do.
    transaction.beginning.catch(() => {});
    opened = wrapClient(client, 1, transaction);
    return opened;
  }

  const lazy: NodePostgresPgClient = {
    rawClient: client,
    async query<TData>(query: PgClientQuery): Promise<PgClientResult<TData>> {
      // PostGraphile's own statements (arrayMode) are alone in their transaction; the first time on a
      // connection the settings are prepared, by the longer way.
      if (!query.arrayMode || single || opened || !isPrepared(client, identity)) {
        return corked(stream, () => open().query<TData>(query));
      }
      const named = withName(query);
      if (named.name !== undefined) rememberPrepared(client, named.name);
      single = traced(query.text, () => queryWithSettings(client, identity, named));
      const { rows, rowCount } = await single;
      return { rows: rows as TData[], rowCount, notices: [] };
    },
    withTransaction: (act) => corked(stream, () => open().withTransaction(act)),
  };

  try {
    const result = await callback(lazy);
    if (!single) {
      open();
      await transaction?.beginning;
      await (transaction?.ending ?? client.query("commit"));
    }
    return result;
  } catch (error) {
    if (!transaction) throw forSomebody(error, settings);
    // What failed first is the reason; what came after only found an aborted transaction.
    const cause = await transaction.beginning.then(
      () => error,
      (reason: unknown) => reason,
    );
    // A commit of what has failed is a rollback.
    await (transaction.ending ?? client.query("rollback")).catch(() => {
      // The connection is gone, and the transaction with it: `cause` says so already.
    });
    throw forSomebody(cause, settings);
  }
}

/** What one transaction may read, bytes: one row can be a whole tree, which pg would gather in memory. */
const MAX_READ = 32_000_000;
/** How much each connection had read when its transaction began. */
const readBefore = new WeakMap<Socket, number>();

/** Ends the connection whose transaction reads more than that: nothing else stops PostgreSQL from sending. */
function boundAnswer(stream: Socket): void {
  if (!readBefore.has(stream)) {
    stream.on("data", () => {
      if (stream.bytesRead - (readBefore.get(stream) ?? 0) > MAX_READ) {
        stream.destroy(answerTooLarge());
      }
    });
  }
  readBefore.set(stream, stream.bytesRead);
}

/** What is sent before anybody waits goes out in one system call. */
function corked<T>(stream: Socket, send: () => T): T {
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

interface Transaction {
  beginning: Promise<void>;
  /** The commit, once it is on its way. */
  ending?: Promise<unknown>;
}

/** Nobody is told to log in; somebody who may not is told so. */
function forSomebody(error: unknown, settings: RequestSettings): unknown {
  const { code } = error as { code?: string };
  if (code !== "42501" || settings.role !== "howdah_anonymous") return error;
  return new ApiError("UNAUTHENTICATED", "Log in first.", {}, { cause: error });
}

async function begin(client: PoolClient, identity: QueryConfig): Promise<void> {
  const steps = [client.query("begin"), client.query(identity)];
  const results = await Promise.allSettled(steps);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** Asks whether the session lives, then becomes the request's role, in one statement. */
export function identification(settings: RequestSettings) {
  const text = JSON.stringify(settings);
  if (!settings["jwt.claims.session_id"]) return unverified(text);
  return {
    name: "verified_request_settings",
    text: `with verified as materialized (select app_private.verify_session($1::int, $2::int, $3))
      select count(set_config(key, value, true)) from verified, json_each_text($4::json)`,
    values: [...verification(settings).values, text],
  };
}

/** The same on a replica, where the session is known to live: asks whether it shows what it must. */
function replicaIdentification(settings: RequestSettings, transactionId: string | null) {
  const text = JSON.stringify(settings);
  if (transactionId === null) return unverified(text);
  return {
    name: "replayed_request_settings",
    text: `with replayed as materialized (select app_private.require_replayed($1::xid8))
      select count(set_config(key, value, true)) from replayed, json_each_text($2::json)`,
    values: [transactionId, text],
  };
}

function unverified(text: string) {
  return {
    name: "request_settings",
    text: "select count(set_config(key, value, true)) from json_each_text($1::json)",
    values: [text],
  };
}

function verification(settings: RequestSettings) {
  return {
    name: "verify_session",
    text: "select app_private.verify_session($1::int, $2::int, $3)",
    values: [settings["jwt.claims.session_id"], settings["jwt.claims.user_id"], settings.role],
  };
}

function wrapClient(
  client: PoolClient,
  level: number,
  transaction?: Transaction,
): NodePostgresPgClient {
  return {
    rawClient: client,
    async query<TData>(query: PgClientQuery): Promise<PgClientResult<TData>> {
      if (transaction?.ending) throw new Error("This transaction has its one statement already.");
      try {
        const sent = traced(query.text, () => send(client, query));
        // PostGraphile's own statements (arrayMode) are alone in their transaction: nobody has to
        // wait for one to end the other.
        if (transaction && level === 1 && query.arrayMode) {
          transaction.ending = client.query("commit");
          transaction.ending.catch(() => {});
        }
        const { rows, rowCount } = await sent;
        return { rows: rows as TData[], rowCount, notices: [] };
      } catch (error) {
        // In an aborted transaction the reason is what aborted it.
        await transaction?.beginning;
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
        const result = await callback(wrapClient(client, level + 1, transaction));
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

/** A part of the request's trace, where there is one. */
function traced<T>(text: string, run: () => Promise<T>): Promise<T> {
  return currentRequest()?.trace?.statement(text, run) ?? run();
}

function send(client: PoolClient, query: PgClientQuery): Promise<QueryResult> {
  const { text, name, values } = query;
  if (name !== undefined) rememberPrepared(client, name);
  const options = { text, values: values as unknown[], ...(name === undefined ? {} : { name }) };
  return query.arrayMode
    ? (client.query({ ...options, rowMode: "array" }) as Promise<QueryResult>)
    : client.query(options);
}
