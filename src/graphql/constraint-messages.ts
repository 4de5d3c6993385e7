import type { Pool } from "pg";

/** What a client is told of a violated constraint. */
export interface ConstraintMessage {
  message: string;
  /** GraphQL names of its columns. */
  fields: string[];
}

/**
 * The messages of all constraints: the SQL comment on a constraint (or unique index) is what the
 * client is told; its name never leaves the server. Read with each new schema.
 */
export function createConstraintMessages(pool: Pool): {
  plugin: GraphileConfig.Plugin;
  find(schema: string, name: string): ConstraintMessage | undefined;
} {
  let messages: ReadonlyMap<string, ConstraintMessage> = new Map();
  return {
    find: (schema, name) => messages.get(`${schema}.${name}`),
    plugin: {
      name: "HowdahConstraintMessagesPlugin",
      version: "1.0.0",
      grafserv: {
        middleware: {
          async setPreset(next) {
            messages = await readConstraintMessages(pool);
            return next();
          },
        },
      },
    },
  };
}

/** `last_logged_in` → `lastLoggedIn`. */
export function graphqlName(column: string): string {
  return column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

async function readConstraintMessages(pool: Pool): Promise<ReadonlyMap<string, ConstraintMessage>> {
  const { rows } = await pool.query<{ key: string; message: string | null; columns: string[] }>(`
    select
      n.nspname || '.' || c.conname as key,
      obj_description(c.oid, 'pg_constraint') as message,
      array(
        select a.attname::text from unnest(c.conkey) as k(attnum)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
      ) as columns
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where n.nspname not in ('pg_catalog', 'information_schema')
    union all
    select
      n.nspname || '.' || r.relname,
      obj_description(r.oid, 'pg_class'),
      array(
        select a.attname::text from pg_attribute a where a.attrelid = r.oid order by a.attnum
      )
    from pg_index i
    join pg_class r on r.oid = i.indexrelid
    join pg_namespace n on n.oid = r.relnamespace
    where i.indisunique and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
      and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
  `);
  return new Map(
    rows.map(({ key, message, columns }) => [
      key,
      { message: message ?? "", fields: columns.map(graphqlName) },
    ]),
  );
}
