import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { PoolClient } from "pg";
import type { PgClientQuery } from "postgraphile/@dataplan/pg";

/** Named statements that a connection keeps prepared; the least used one gives way. */
const PREPARED_STATEMENTS_PER_CONNECTION = 100;
/** Characters of a statement that is given a name. */
const LONGEST_PREPARED = 10_000;

/** Texts of mutations that have come once; from the second time on they have a name. */
const statementNames = new LRUCache<string, { name?: string }>({ max: 500 });

/**
 * PostGraphile names what it reads, so that PostgreSQL parses it once for each connection, and not what it
 * writes: that is done here. A text that comes once is not worth it.
 */
export function withName(query: PgClientQuery): PgClientQuery {
  if (query.name !== undefined || query.text.length > LONGEST_PREPARED) return query;
  const known = statementNames.get(query.text);
  if (!known) {
    statementNames.set(query.text, {});
    return query;
  }
  known.name ??= `write_${createHash("sha1").update(query.text).digest("base64url")}`;
  return { ...query, name: known.name };
}

interface StatementCache {
  /** pg's own record of what is prepared on this connection. */
  parsedStatements: Record<string, string>;
}
const preparedStatements = new WeakMap<object, LRUCache<string, true>>();

/** Keeps the statements that this connection has prepared within bounds. */
export function rememberPrepared(client: PoolClient, name: string): void {
  const { connection } = client as unknown as { connection: StatementCache };
  let cache = preparedStatements.get(connection);
  if (!cache) {
    cache = new LRUCache({
      max: PREPARED_STATEMENTS_PER_CONNECTION,
      dispose: (_value, old, reason) => {
        const text = connection.parsedStatements[old];
        if (reason !== "evict" || text === undefined) return;
        // Forgotten at once, so that a later use in the same pipeline prepares it anew.
        delete connection.parsedStatements[old];
        client.query(`deallocate ${client.escapeIdentifier(old)}`).catch(() => {
          // In an aborted transaction nothing is deallocated: it is still there.
          connection.parsedStatements[old] = text;
        });
      },
    });
    preparedStatements.set(connection, cache);
  }
  cache.set(name, true);
}

/** A statement that has to be prepared anew. */
export function forgetPrepared(client: PoolClient, name: string): void {
  const { connection } = client as unknown as { connection: StatementCache };
  preparedStatements.get(connection)?.delete(name);
  delete connection.parsedStatements[name];
  client.query(`deallocate ${client.escapeIdentifier(name)}`).catch(() => {
    // It was not there.
  });
}
