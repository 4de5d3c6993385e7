import type pg from "pg";

/**
 * What an API or a worker that was started on this schema may use of it, a line each: tables,
 * columns with their types, functions with their results, enum values, what the roles may. And, with
 * `required`, what its inserts have to give. It names objects, not what they do: bodies of
 * functions, policies, checks and locks are not in it.
 */
export async function needsOfApi(client: Pick<pg.Pool, "query">): Promise<string[]> {
  const { rows } = await client.query<{ need: string }>(NEEDS);
  return rows.map(({ need }) => need);
}

export interface LostNeed {
  /** Such as `column app_public.items.title`. */
  what: string;
  message: string;
}

/** What of the old API fails on the new schema. */
export function lostNeeds(before: readonly string[], after: readonly string[]): LostNeed[] {
  const old = new Set(before);
  const now = new Set(after);
  const lost = before
    .filter((need) => !need.startsWith("required ") && !now.has(need))
    .map((need) => ({ what: need, message: `${need} is gone, or is another` }));
  // A table that is new has no old inserts.
  const required = after
    .filter((need) => need.startsWith("required ") && !old.has(need))
    .filter((need) => old.has(`table ${need.slice("required ".length).replace(/\.[^.]+$/, "")}`))
    .map((need) => ({ what: need, message: `${need}: old inserts do not give it` }));
  return [...lost, ...required];
}

const SCHEMAS = "('app_public', 'app_private', 'app_hidden', 'app_audiences')";
const ROLES = "('howdah_anonymous', 'howdah_user', 'howdah_operator', 'howdah_authenticator')";

const NEEDS = `
with
our_table as (
  select c.oid, n.nspname || '.' || c.relname as name, c.relacl, c.relowner
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ${SCHEMAS} and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
),
our_column as (
  select t.name || '.' || a.attname as name, a.*
  from our_table t join pg_attribute a on a.attrelid = t.oid
  where a.attnum > 0 and not a.attisdropped
),
our_function as (
  select p.oid, p.proacl, p.proowner,
    n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
    pg_get_function_result(p.oid) as result
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ${SCHEMAS} and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
)
select 'table ' || name as need from our_table
union all
select 'column ' || name || ' ' || format_type(atttypid, atttypmod) from our_column
union all
select 'required ' || c.name
from our_column c join pg_class r on r.oid = c.attrelid
where c.attnotnull and not c.atthasdef and c.attidentity = '' and c.attgenerated = '' and r.relkind in ('r', 'p')
union all
select 'function ' || name || coalesce(' returns ' || result, '') from our_function
union all
select 'value ' || e.enumlabel || ' of ' || n.nspname || '.' || t.typname
from pg_enum e join pg_type t on t.oid = e.enumtypid join pg_namespace n on n.oid = t.typnamespace
where n.nspname in ${SCHEMAS}
union all
select lower(a.privilege_type) || ' on schema ' || n.nspname || ' for ' || a.grantee::regrole
from pg_namespace n, aclexplode(n.nspacl) a
where n.nspname in ${SCHEMAS} and a.grantee <> 0 and a.grantee::regrole::text in ${ROLES}
union all
select lower(a.privilege_type) || ' on ' || t.name || ' for ' || a.grantee::regrole
from our_table t, aclexplode(t.relacl) a
where a.grantee <> 0 and a.grantee::regrole::text in ${ROLES}
union all
select lower(a.privilege_type) || ' of ' || c.name || ' for ' || a.grantee::regrole
from our_column c, aclexplode(c.attacl) a
where a.grantee <> 0 and a.grantee::regrole::text in ${ROLES}
union all
select 'execute of ' || f.name || ' for ' || a.grantee::regrole
from our_function f, aclexplode(f.proacl) a
where a.grantee <> 0 and a.grantee::regrole::text in ${ROLES}
order by 1`;
