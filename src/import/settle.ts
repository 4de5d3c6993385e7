import type { ClientBase } from "pg";
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

interface Check {
  name: string;
  /** SQL that is false, not null, for a row that breaks it. */
  expression: string;
}

async function readChecks(target: ClientBase, table: string): Promise<Check[]> {
  const { rows } = await target.query<Check>(
    `select conname as name, pg_get_expr(conbin, conrelid) as expression from pg_constraint
     where conrelid = $1::regclass and contype = 'c' and not exists (
       -- What a generated column is made of is not known before: the insert says no.
       select from pg_attribute a
       where a.attrelid = conrelid and a.attnum = any (conkey) and a.attgenerated <> ''
     )
     order by conname`,
    [table],
  );
  return rows;
}

async function readColumns(target: ClientBase): Promise<string[]> {
  const { rows } = await target.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = 'pg_temp.ready_rows'::regclass and attnum > 0 order by attnum`,
  );
  return rows.map(({ name }) => name);
}

async function readNotNull(target: ClientBase, { target: table }: ImportTable): Promise<Check[]> {
  const { rows } = await target.query<Check>(
    `select a.attname || '_missing' as name, format('%I is not null', a.attname) as expression
     from pg_attribute a
     join pg_attribute v on v.attrelid = 'pg_temp.ready_rows'::regclass and v.attname = a.attname
     where a.attrelid = $1::regclass and a.attnotnull and a.attnum > 0`,
    [table],
  );
  return rows;
}

/** What checks look at although the import does not give it: the columns' defaults. */
async function readDefaults(target: ClientBase, { target: table }: ImportTable): Promise<string> {
  const { rows } = await target.query<{ column: string }>(
    `select format(
       ', (%s)::%s as %I', coalesce(pg_get_expr(d.adbin, d.adrelid), 'null'),
       format_type(a.atttypid, a.atttypmod), a.attname
     ) as column
     from pg_attribute a
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1::regclass and a.attnum = any (
         select unnest(conkey) from pg_constraint where conrelid = a.attrelid and contype = 'c'
       )
       and not exists (
         select from pg_attribute v
         where v.attrelid = 'pg_temp.ready_rows'::regclass and v.attname = a.attname
       )
       and a.attgenerated = ''`,
    [table],
  );
  return rows.map(({ column }) => column).join("");
}

/** A table's own SQL names the target's check constraints: their rules are written down once. */
function withChecks({ repair, target }: ImportTable, checks: readonly Check[]): string {
  const named = new RegExp(`:(${target.split(".")[1]}_[a-z_]+)`, "g");
  return repair.replace(named, (_, name) => {
    const check = checks.find((candidate) => candidate.name === name);
    return check ? `(${check.expression})` : "true";
  });
}

/** Judged by the target's own rules, those of your migrations among them. */
function skipMisfits(source: string, defaults: string, rules: readonly Check[]): string {
  const cases = rules.map(({ name, expression }) => `when not (${expression}) then '${name}'`);
  return `
    update ${source} s
    set state = 'skipped', reason = m.broken
    from (
      select source_id, case ${cases.join(" ")} end as broken
      from (select r.*${defaults} from ready_rows r) as ready
    ) m
    where m.source_id = s.id and m.broken is not null`;
}
