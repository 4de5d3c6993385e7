import type { ClientBase } from "pg";
import { readChecks, readDefaults, readNotNull, skipMisfits, withChecks } from "./checks.ts";
import type { ImportTable } from "./table.ts";

/** Decides what becomes of each staged row of a table, and moves those that are left. */
export async function settle(table: ImportTable, target: ClientBase): Promise<void> {
  const source = `pg_temp.source_${table.name}`;
  const checks = await readChecks(target, table.target);
  await target.query(findPresent(table, source));
  if (table.keepsIds) await target.query(skipTakenIds(table, source));
  if ("user_id" in table.staged) await target.query(skipOrphans(source));
  await target.query(withChecks(table, checks));

  await target.query(`create temporary view ready_rows as ${table.select}`);
  const columns = await readColumns(target);
  const rules = [...checks, ...(await readNotNull(target, table))];
  await target.query(skipMisfits(source, await readDefaults(target, table), rules));
  const names = columns.filter((name) => name !== "source_id").join(", ");
  await target.query(
    `insert into ${table.target} (${names}) overriding system value select ${names} from ready_rows`,
  );
  if (table.after) await target.query(table.after);
  await target.query("drop view ready_rows");

  await target.query(
    `insert into app_private.imported_rows (
       source_table, source_id, source_created_at, source_digest
     )
     select '${table.name}', s.id, s.created_at, s.digest from ${source} s where s.state is null
     on conflict on constraint imported_rows_pkey do update
     set source_created_at = excluded.source_created_at, source_digest = excluded.source_digest,
       imported_at = excluded.imported_at`,
  );
  await target.query(`update ${source} set state = 'moved' where state is null`);
}

/** Moved by an earlier run: changed or deleted here since, it is left alone. */
function findPresent({ name, target, keepsIds }: ImportTable, source: string): string {
  const isGone = keepsIds ? `not exists (select from ${target} t where t.id = s.id)` : "false";
  return `
    update ${source} s
    set
      state = case when ${isGone} then 'skipped' else 'present' end,
      reason = case when ${isGone} then 'deleted_here' end,
      notes = case
        when l.source_digest <> s.digest then array['changed_in_source'] else '{}'
      end
    from app_private.imported_rows l
    where l.source_table = '${name}' and l.source_id = s.id
      and l.source_created_at is not distinct from s.created_at`;
}

function skipTakenIds({ target }: ImportTable, source: string): string {
  return `
    update ${source} s
    set state = 'skipped',
      reason = case when s.id between 1 and 2147483646 then 'id_taken' else 'id_out_of_range' end
    where s.state is null
      and (
        s.id not between 1 and 2147483646 or exists (select from ${target} t where t.id = s.id)
      )`;
}

function skipOrphans(source: string): string {
  return `
    update ${source} s
    set
      state = 'skipped',
      reason = case
        when o.id is null then 'user_missing'
        when o.state = 'skipped' then 'user_skipped'
        else 'user_deleted'
      end
    from ${source} c
    left join pg_temp.source_users o on o.id = c.user_id
    left join app_public.users u on u.id = o.id
    where c.id = s.id and s.state is null
      and (o.id is null or o.state = 'skipped' or u.deleted_at is not null)`;
}

async function readColumns(target: ClientBase): Promise<string[]> {
  const { rows } = await target.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = 'pg_temp.ready_rows'::regclass and attnum > 0 order by attnum`,
  );
  return rows.map(({ name }) => name);
}
