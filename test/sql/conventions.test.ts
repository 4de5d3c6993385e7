import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const OUR_SCHEMAS = "('app_public', 'app_hidden', 'app_private')";
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/**
 * What is ours alone, and no rule of src/rules: names, and who may what here. Each is a query for
 * what breaks it; what it selects is named in the failure.
 */
const RULES: Record<string, string> = {
  "nothing of ours lives in public": `
    select p.oid::regprocedure::text as broken from pg_proc p
    where p.pronamespace = 'public'::regnamespace
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select c.oid::regclass::text from pg_class c where c.relnamespace = 'public'::regnamespace
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')`,

  "a policy is for one command and for a named role": `
    select p.polrelid::regclass || ': ' || p.polname as broken from pg_policy p
    where p.polcmd = '*' or p.polroles = '{0}'`,

  "an update policy has using and with check": `
    select p.polrelid::regclass || ': ' || p.polname as broken from pg_policy p
    where p.polcmd = 'w' and (p.polqual is null or p.polwithcheck is null)`,

  "a policy is named <command>_<audience>": `
    select p.polrelid::regclass || ': ' || p.polname as broken from pg_policy p
    where p.polname not like
      case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' else 'delete' end
      || '\\_%'`,

  "no role of a request may truncate, refer to, or put triggers on a table": `
    select table_schema || '.' || table_name || ': ' || privilege_type as broken
    from information_schema.role_table_grants
    where grantee like 'howdah\\_%' and grantee <> 'howdah_owner'
      and privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER')`,

  "no role of a request touches a table of app_private": `
    select table_name as broken from information_schema.role_table_grants
    where table_schema = 'app_private' and grantee <> 'howdah_owner'`,

  "nothing is executable by PUBLIC": `
    select p.oid::regprocedure::text as broken from pg_proc p
    where p.pronamespace::regnamespace::text in ${OUR_SCHEMAS}
      and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where a.grantee = 0 and a.privilege_type = 'EXECUTE')`,

  "functions of app_private are executable by the authenticator at most": `
    select p.oid::regprocedure::text as broken from pg_proc p, aclexplode(p.proacl) a
    where p.pronamespace = 'app_private'::regnamespace
      and a.grantee not in ('howdah_owner'::regrole, 'howdah_authenticator'::regrole)`,

  "security definer functions have the search_path in which citext has its operators": `
    select p.oid::regprocedure::text as broken from pg_proc p
    where p.pronamespace::regnamespace::text in ${OUR_SCHEMAS} and p.prosecdef
      and not coalesce(p.proconfig @> array['search_path=pg_catalog, public, pg_temp'], false)`,

  "a check that a client can break has its message as comment": `
    select c.conrelid::regclass || ': ' || c.conname as broken from pg_constraint c
    where c.contype = 'c' and c.connamespace = 'app_public'::regnamespace
      and obj_description(c.oid, 'pg_constraint') is null
      and (
        has_any_column_privilege('howdah_operator', c.conrelid, 'insert')
        or has_any_column_privilege('howdah_operator', c.conrelid, 'update')
      )`,

  "constraints and indexes are named <table>_<what>": `
    select c.conrelid::regclass || ': ' || c.conname as broken from pg_constraint c
    join pg_class r on r.oid = c.conrelid
    where c.connamespace::regnamespace::text in ${OUR_SCHEMAS} and c.contype <> 'n'
      and not r.relispartition
      and c.conname not like replace(r.relname, '_', '\\_') || '\\_%'
    union all
    select i.indexrelid::regclass::text from pg_index i
    join pg_class r on r.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
    where r.relnamespace::regnamespace::text in ${OUR_SCHEMAS} and not r.relispartition
      and x.relname not like replace(r.relname, '_', '\\_') || '\\_%'`,

  "times end with _at or _until, a wall clock's with _at_local, the template's own apart": `
    select a.attrelid::regclass || '.' || a.attname as broken from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    where c.relnamespace::regnamespace::text in ${OUR_SCHEMAS} and c.relkind in ('r', 'p')
      and a.attnum > 0 and not a.attisdropped
      and (
        (a.atttypid = 'timestamp'::regtype and a.attname not like '%\\_at\\_local')
        or (a.atttypid = 'timestamptz'::regtype and a.attname !~ '_(at|until)$'
          and a.attname not in ('last_logged_in', 'token_expiry'))
        or (a.atttypid <> 'timestamptz'::regtype and a.attname like '%\\_at')
      )`,

  "booleans are named is_ or has_, or as the template named them": `
    select a.attrelid::regclass || '.' || a.attname as broken from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    where c.relnamespace::regnamespace::text in ${OUR_SCHEMAS} and c.relkind in ('r', 'p')
      and a.attnum > 0 and a.atttypid = 'bool'::regtype
      and a.attname !~ '^(is|has)_' and a.attname not in ('email_verified', 'phone_verified', 'sent_status')`,

  "triggers are numbered in tens and call tg_ functions": `
    select t.tgrelid::regclass || ': ' || t.tgname as broken from pg_trigger t
    join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
    where not t.tgisinternal and c.relnamespace::regnamespace::text in ${OUR_SCHEMAS}
      and (t.tgname !~ '^_[1-9][0-9]0_[a-z_]+$' or p.proname !~ '^tg_([a-z0-9_]+_)?_[a-z_]+$')`,

  "the API's role owns nothing and bypasses nothing": `
    select r.rolname as broken from pg_roles r
    where r.rolname in ('howdah_authenticator', 'howdah_anonymous', 'howdah_user', 'howdah_operator')
      and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
        or (r.rolcanlogin <> (r.rolname = 'howdah_authenticator'))
        or (r.rolname = 'howdah_authenticator' and r.rolinherit)
        or exists (select from pg_class c where c.relowner = r.oid)
        or exists (select from pg_proc p where p.proowner = r.oid))`,

  "the authenticator cannot become the owner": `
    select 'howdah_authenticator' as broken
    where pg_has_role('howdah_authenticator', 'howdah_owner', 'member')
      or pg_has_role('howdah_user', 'howdah_operator', 'member')`,
};

describe("SQL conventions", () => {
  it.each(Object.keys(RULES))("%s", async (rule) => {
    const { rows } = await database.owner.query(RULES[rule] as string);
    expect(rows.map((row) => row.broken)).toEqual([]);
  });

  it("the rules see what breaks them", async () => {
    const client = await database.owner.connect();
    try {
      await client.query("begin");
      await client.query(`
        create table app_public.bad_ones (id int constraint bad primary key,
          owner_id int references app_public.users, done boolean, made timestamp, note text check (note <> ''));
        grant select, truncate, insert (note) on app_public.bad_ones to howdah_user;
        create policy anything on app_public.bad_ones using (owner_id = app_public.current_user_id());
        create policy update_own on app_public.bad_ones for update to howdah_user using (true);
        create table app_private.open_secrets (id int);
        grant select on app_private.open_secrets to howdah_user;
        create function app_public.bad() returns trigger language plpgsql security definer
          as 'begin return null; end';
        grant execute on function app_public.bad() to public;
        create trigger whenever after insert on app_public.bad_ones
          for each row execute function app_public.bad();
        create function app_private.open() returns int language sql as 'select 1';
        grant execute on function app_private.open() to howdah_user;
        create function public.stray() returns int language sql as 'select 1';
      `);
      const silent = [];
      for (const [rule, query] of Object.entries(RULES)) {
        const { rows } = await client.query(query);
        if (rows.length === 0) silent.push(rule);
      }
      // Only a superuser could break these.
      expect(silent).toEqual([
        "the API's role owns nothing and bypasses nothing",
        "the authenticator cannot become the owner",
      ]);
    } finally {
      await client.query("rollback");
      client.release();
    }
  });
});
