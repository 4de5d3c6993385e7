import pg from "pg";
import type { Logger } from "pino";
import { currentRequest } from "../request-scope.ts";

export interface PoolOptions {
  connectionString: string;
  /** Connections at most. */
  max: number;
  /** Seen in pg_stat_activity. */
  applicationName: string;
  logger: Logger;
  /** Statements go out without waiting for the answer of the one before. */
  pipeline?: boolean;
  /** Whether a pooler stands in between. */
  pooled?: boolean;
  /** How long to wait for a connection, milliseconds; a request is UNAVAILABLE then. 2,000 unless told. */
  acquireTimeout?: number;
  /** What pools share besides: a turn is taken before a connection, and ended with its use. */
  takeTurn?: () => Promise<() => void>;
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (release?: Error | boolean) => void,
) => void;

/** A pool that knows how long those have waited who found no connection idle. */
export class ObservedPool extends pg.Pool {
  /** Set by whoever wants to know, in seconds. */
  onWait: ((seconds: number) => void) | undefined;
  takeTurn: PoolOptions["takeTurn"];

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    if (this.takeTurn) return this.#connectInTurn(this.takeTurn, callback);
    if (this.idleCount > 0) return this.#connect(callback);
    const began = performance.now();
    const request = currentRequest();
    const waited = () => {
      const milliseconds = performance.now() - began;
      if (request) request.poolWait += milliseconds;
      this.onWait?.(milliseconds / 1000);
    };
    if (!callback) return super.connect().finally(waited);
    this.#connect((error, client, release) => {
      waited();
      callback(error, client, release);
    });
    return undefined;
  }

  #connectInTurn(
    takeTurn: () => Promise<() => void>,
    callback?: Connected,
  ): Promise<pg.PoolClient> | undefined {
    const connecting = takeTurn().then(async (endTurn) => {
      try {
        const client = await super.connect();
        const { release } = client;
        client.release = (error) => {
          endTurn();
          release(error);
        };
        return client;
      } catch (error) {
        endTurn();
        throw error;
      }
    });
    if (!callback) return connecting;
    connecting.then(
      (client) => callback(undefined, client, client.release),
      (error) => callback(error, undefined, () => {}),
    );
    return undefined;
  }

  #connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    if (!callback) return super.connect();
    super.connect(callback);
    return undefined;
  }
}

/** A pool that outlives a restart of PostgreSQL: dead connections are replaced, never fatal. */
export function createPool(options: PoolOptions): ObservedPool {
  const { logger } = options;
  const config = {
    connectionString: options.connectionString,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.acquireTimeout ?? 2000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    pipeline: options.pipeline ?? false,
    ...(options.pooled ? { Client: UnnamedClient } : {}),
  };
  const pool = new ObservedPool(config);
  pool.takeTurn = options.takeTurn;
  pool.on("error", (error) => {
    // An ending pool lets go of its connections before they are closed: no loss.
    if (!pool.ending) logger.warn({ error: error.message }, "idle connection lost");
  });
  // While a connection is in use its queries carry the error; unheard, the event would end us.
  pool.on("connect", (client) => {
    client.on("error", (error) => logger.debug({ error: error.message }, "connection lost"));
  });
  return pool;
}

/** Connections of an API process at most, and at least. */
const MAX_POOL = 20;
const MIN_POOL = 2;
/** What the API processes of one command may take of the server's: others need some, too. */
const SHARE = 0.6;

export interface ServerLimits {
  /** How many connections each of so many processes may hold. */
  max: number;
  /** Whether a pooler stands in between, which may give each transaction another connection. */
  pooled: boolean;
}

/** What the server allows, and how it is reached. */
export async function serverLimits(
  connectionString: string,
  processes: number,
): Promise<ServerLimits> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ allowed: number; pid: number }>(
      `select pg_backend_pid() as pid, least(
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
         nullif((select rolconnlimit from pg_roles where rolname = current_user), -1)
       ) as allowed`,
    );
    const share = Math.floor(((rows[0]?.allowed ?? 0) * SHARE) / processes);
    // A pooler makes up the process id that it tells its clients.
    const { processID } = client as unknown as { processID: number | null };
    return {
      max: Math.min(MAX_POOL, Math.max(MIN_POOL, share)),
      pooled: processID !== rows[0]?.pid,
    };
  } finally {
    await client.end();
  }
}

/** Whether a pooler stands between this client and the server. */
export function isPooled(client: pg.ClientBase): boolean {
  return client instanceof UnnamedClient;
}

/** A client that prepares nothing by name: behind a pooler the next transaction may be on a connection without it. */
class UnnamedClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: of all the ways to call it one is changed
  override query(config: any, ...more: any[]): any {
    const named = typeof config?.name === "string" && typeof config.submit !== "function";
    const query = named ? { ...config, name: undefined } : config;
    return (super.query as (...args: unknown[]) => unknown)(query, ...more);
  }
}
