import type { Pool } from "pg";

/** What a client is told of a violated constraint. */
export interface ConstraintMessage {
  message: string;
  /** GraphQL names of its columns, those that a client can give first. */
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
    with rules as (
      select
        n.nspname || '.' || c.conname as key,
        obj_description(c.oid, 'pg_constraint') as message,
        c.conrelid as table_id,
        c.conkey as numbers
      from pg_constraint c
      join pg_namespace n on n.oid = c.connamespace
      where c.conrelid <> 0 and n.nspname not in ('pg_catalog', 'information_schema')
      union all
      select
        n.nspname || '.' || r.relname,
        obj_description(r.oid, 'pg_class'),
        i.indrelid,
        -- Of expressions, too: the columns that they are made of.
        array(
          select d.refobjsubid::smallint from pg_depend d
          where d.classid = 'pg_class'::regclass and d.objid = r.oid
            and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
          order by d.refobjsubid
        )
      from pg_index i
      join pg_class r on r.oid = i.indexrelid
      join pg_namespace n on n.oid = r.relnamespace
      where i.indisunique and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
    )
    select
      key,
      message,
      array(
        select coalesce(
          substring(col_description(a.attrelid, a.attnum) from '(?n)^@name +(\\S+)'), a.attname
        )
        from pg_attribute a
        where a.attrelid = table_id and a.attnum = any (numbers)
        -- First what a client can give: of a unique (user_id, title) they have to change the title.
        order by
          exists (
            select from pg_roles r
            where pg_has_role(r.oid, 'member')
              and has_column_privilege(r.oid, a.attrelid, a.attnum, 'insert, update')
          ) desc,
          array_position(numbers, a.attnum)
      ) as columns
    from rules
  `);
  return new Map(
    rows.map(({ key, message, columns }) => [
      key,
      { message: message ?? "", fields: columns.map(graphqlName) },
    ]),
  );
}
