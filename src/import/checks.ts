import type { ClientBase } from "pg";
import type { ImportTable } from "./table.ts";

/** A rule of the target's table. */
export interface Check {
  name: string;
  /** SQL that is false, not null, for a row that breaks it. */
  expression: string;
}

/** Its check constraints, in the words of PostgreSQL. */
export async function readChecks(target: ClientBase, table: string): Promise<Check[]> {
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

/** Its columns that take no null, as far as the import gives them. */
export async function readNotNull(
  target: ClientBase,
  { target: table }: ImportTable,
): Promise<Check[]> {
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
export async function readDefaults(
  target: ClientBase,
  { target: table }: ImportTable,
): Promise<string> {
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
export function withChecks({ repair, target }: ImportTable, checks: readonly Check[]): string {
  const named = new RegExp(`:(${target.split(".")[1]}_[a-z_]+)`, "g");
  return repair.replace(named, (_, name) => {
    const check = checks.find((candidate) => candidate.name === name);
    return check ? `(${check.expression})` : "true";
  });
}

/** Judged by the target's own rules, those of your migrations among them. */
export function skipMisfits(source: string, defaults: string, rules: readonly Check[]): string {
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
