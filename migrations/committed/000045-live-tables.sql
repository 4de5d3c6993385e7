--! Previous: sha1:d7b630b458f2455f1073a9382e2aef8832a407eb
--! Hash: sha1:3d64a3667d71a3f8e41634dc7cd692be390e2eeb
--! Message: live tables

-- A table whose comment carries the smart tag @live tells of its changes: what happened and which row, on the
-- channel of 000010. Each API process asks once for all its subscribers who of them may know.

create or replace function app_private.owner_column(table_id regclass) returns text
language sql stable
as $$
  -- As pg_get_expr() writes `user_id = (select app_public.current_user_id())`.
  select min(substring(
    pg_get_expr(pol.polqual, pol.polrelid)
    from '^\(([a-z_][a-z0-9_]*) = \( SELECT app_public\.current_user_id\(\) AS current_user_id\)\)$'
  ))
  from pg_policy pol
  where pol.polrelid = table_id
    and pol.polcmd in ('r', '*')
    and (pol.polroles = '{0}' or (select oid from pg_roles where rolname = ':DATABASE_USER') = any (pol.polroles))
  -- Another policy beside it could let others in.
  having count(*) = 1 and bool_and(pol.polpermissive);
$$;
comment on function app_private.owner_column(regclass) is
  'The column that says whose a row is, where its owner is the only user who may read it; else null. It spares the others the question whether they may.';

create or replace function app_private.live_tables(
  out table_id regclass, out name text, out key text, out told text[], out matched text[], out owner text
) returns setof record
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select
    c.oid::regclass,
    format('%I.%I', n.nspname, c.relname),
    k.key,
    array(select unnest(k.matched || p.columns) order by 1),
    k.matched,
    app_private.owner_column(c.oid::regclass)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'app_public'
  cross join lateral (
    select
      min(a.attname) filter (where con.contype = 'p') as key,
      array_agg(distinct a.attname::text) as matched
    from pg_constraint con
    join pg_attribute a on a.attrelid = con.conrelid and a.attnum = con.conkey[1]
    where con.conrelid = c.oid and con.contype in ('p', 'f') and cardinality(con.conkey) = 1
  ) k
  cross join lateral (
    -- Enough of a row that is gone to tell who could see it.
    select array_agg(distinct a.attname::text) as columns
    from pg_policy pol
    join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = pol.oid
      and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and a.attnum > 0
    where pol.polrelid = c.oid and pol.polcmd in ('r', '*') and a.attname <> all (k.matched)
  ) p
  where c.relkind in ('r', 'p')
    and obj_description(c.oid, 'pg_class') ~ '^(@[^\n]*\n)*@live(\s|$)';
$$;
comment on function app_private.live_tables() is
  'Tables with the tag @live. name: as schema.table; key: the column of their primary key; matched: that and foreign keys, by which subscribers choose; told: those and what the policies for reading look at, of which an event brings the old values; owner: see owner_column().';

create or replace function app_private.tg__publish_changes() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_key text = tg_argv[0];
  v_told text[] = tg_argv[1];
  v_matched text[] = tg_argv[2];
  -- Empty where a row may be of several.
  v_owner text = tg_argv[3];
  v_before jsonb[];
  v_after jsonb[];
begin
  if tg_op <> 'INSERT' then
    select array_agg(to_jsonb(o)) into v_before from old_rows o;
  end if;
  if tg_op <> 'DELETE' then
    select array_agg(to_jsonb(n)) into v_after from new_rows n;
  end if;
  perform pg_notify(
    'howdah_live',
    jsonb_build_object(
      'topic', 'changes',
      'keys', jsonb_build_array(format('%I.%I', tg_table_schema, tg_table_name)),
      'payload', jsonb_agg(part.change order by part.position)
    )::text
  )
  from (
    select
      change,
      position,
      -- A NOTIFY holds at most 8,000 bytes.
      sum(octet_length(change::text) + 2) over (order by position) / 7000 as notify
    from (
      select
        -- What is too long to be told is told without its values: nobody gets to see it where it is gone.
        case
          when octet_length(whole::text) < 900 then whole
          else whole - 'before' - 'after'
        end as change,
        position
      from (
        select
          jsonb_strip_nulls(
            jsonb_build_object(
              'op', case when b.row is null then 'INSERT' when a.row is null then 'DELETE' else tg_op end,
              'id', coalesce(a.row, b.row) -> v_key,
              'before', (select jsonb_object_agg(c, b.row -> c) from unnest(v_told) c where b.row is not null),
              'after', (select jsonb_object_agg(c, a.row -> c) from unnest(v_matched) c where a.row is not null),
              'owners', case when v_owner <> '' then jsonb_build_array(b.row -> v_owner, a.row -> v_owner) end
            )
          ) as whole,
          row_number() over (order by a.position, b.position) as position
        from unnest(v_after) with ordinality as a(row, position)
        full join unnest(v_before) with ordinality as b(row, position)
          on a.row -> v_key = b.row -> v_key
        where a.row is distinct from b.row
      ) pair
    ) sized
  ) part
  group by part.notify;
  return null;
end;
$$;
comment on function app_private.tg__publish_changes() is
  'Trigger: tells the API processes of the rows that a statement has changed, when the transaction commits.';

create or replace function app_private.sync_live_triggers() returns void
language plpgsql volatile
as $$
declare
  v_table record;
begin
  for v_table in
    with wanted as (
      select l.table_id, e.name, e.event, e.transition, array[l.key, l.told::text, l.matched::text, coalesce(l.owner, '')] as args
      from app_private.live_tables() l
      cross join (
        values
          ('_900_publish_insert', 'insert', 'new table as new_rows'),
          ('_900_publish_update', 'update', 'old table as old_rows new table as new_rows'),
          ('_900_publish_delete', 'delete', 'old table as old_rows')
      ) e(name, event, transition)
    ),
    present as (
      select
        t.tgrelid::regclass as table_id,
        t.tgname::text as name,
        string_to_array(encode(t.tgargs, 'escape'), '\000') as args
      from pg_trigger t
      where t.tgfoid = 'app_private.tg__publish_changes'::regproc and t.tgparentid = 0
    )
    select
      coalesce(w.table_id, p.table_id) as table_id,
      coalesce(w.name, p.name) as name,
      p.name is not null as is_present,
      w.event,
      w.transition,
      w.args
    from wanted w
    full join present p on p.table_id = w.table_id and p.name = w.name
    -- pg_trigger ends each argument with a zero byte.
    where array_append(w.args, '') is distinct from p.args
  loop
    if v_table.is_present then
      execute format('drop trigger %I on %s', v_table.name, v_table.table_id);
    end if;
    if v_table.event is not null then
      execute format(
        'create trigger %I after %s on %s referencing %s
         for each statement execute function app_private.tg__publish_changes(%L, %L, %L, %L)',
        v_table.name, v_table.event, v_table.table_id, v_table.transition,
        v_table.args[1], v_table.args[2], v_table.args[3], v_table.args[4]
      );
    end if;
  end loop;
end;
$$;
comment on function app_private.sync_live_triggers() is
  'Gives each table with the tag @live its triggers, and takes them from those without. Run after each migration; changes nothing where nothing has changed.';

create or replace function app_private.reading_rule(table_name text, reader name) returns text
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select case
    when not has_any_column_privilege(reader, c.oid, 'select') then null
    when not c.relrowsecurity then 'true'
    else (
      select format(
        '(%s) and (%s)',
        coalesce(string_agg('(' || p.qual || ')', ' or ') filter (where p.polpermissive), 'false'),
        coalesce(string_agg('(' || p.qual || ')', ' and ') filter (where not p.polpermissive), 'true')
      )
      from (
        select pol.polpermissive, pg_get_expr(pol.polqual, pol.polrelid) as qual
        from pg_policy pol
        where pol.polrelid = c.oid
          and pol.polcmd in ('r', '*')
          and exists (
            select from unnest(pol.polroles) r(oid)
            where r.oid = 0 or pg_has_role(reader, r.oid, 'usage')
          )
      ) p
    )
  end
  from pg_class c where c.oid = table_name::regclass;
$$;
comment on function app_private.reading_rule(text, name) is
  'The policies by which a role reads a table, as one expression over its columns; null where it may not read it at all.';

-- Not a definer: it becomes each of the viewers in turn, as a request of theirs would.
create or replace function app_private.judge_changes(table_name text, changes jsonb, viewers jsonb)
returns jsonb
language plpgsql volatile set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_exists text;
  v_existed text;
  v_rules jsonb;
  v_verdicts text[];
  v_position int = 0;
  v_viewer jsonb;
  v_change record;
  v_rule text;
  v_ended text;
  v_sees boolean;
  v_row text[];
  v_judged jsonb = '[]';
begin
  select
    format('select exists (select from %s where %I = ($1 #>> ''{}'')::%s)', table_name, a.attname,
      format_type(a.atttypid, a.atttypmod)),
    format('select exists (select from jsonb_populate_record(null::%s, $1) as %I where ', table_name, c.relname)
  into v_exists, v_existed
  from app_private.live_tables() l
  join pg_class c on c.oid = l.table_id
  join pg_attribute a on a.attrelid = l.table_id and a.attname = l.key
  where l.name = table_name;
  select jsonb_object_agg(r.role, app_private.reading_rule(table_name, r.role::name)) into v_rules
  from (select distinct v ->> 'role' as role from jsonb_array_elements(viewers) v) r;

  -- Before it becomes anybody: only the authenticator may ask this.
  for v_viewer in select v from jsonb_array_elements(viewers) v loop
    v_position := v_position + 1;
    v_verdicts[v_position] := case when v_rules ->> (v_viewer ->> 'role') is null then 'forbidden' end;
    begin
      if v_viewer ->> 'jwt.claims.session_id' <> '' then
        perform app_private.verify_session(
          (v_viewer ->> 'jwt.claims.session_id')::int,
          (v_viewer ->> 'jwt.claims.user_id')::int,
          v_viewer ->> 'role'
        );
      end if;
    exception when sqlstate 'HWREV' then
      v_verdicts[v_position] := 'ended';
    end;
  end loop;

  v_position := 0;
  for v_viewer in select v from jsonb_array_elements(viewers) v loop
    v_position := v_position + 1;
    v_ended := v_verdicts[v_position];
    v_rule := v_rules ->> (v_viewer ->> 'role');
    if v_ended is null then
      perform set_config(s.key, s.value, true) from jsonb_each_text(v_viewer) s;
    end if;
    v_row := '{}';
    for v_change in
      select c.value -> 'id' as id, c.value -> 'before' as before, c.value ->> 'op' <> 'DELETE' as is_there
      from jsonb_array_elements(changes) with ordinality as c(value, position) order by c.position
    loop
      v_sees := false;
      begin
        if v_ended is null and v_change.is_there then
          execute v_exists into v_sees using v_change.id;
        end if;
        if v_ended is null and not v_sees and v_change.before is not null then
          execute v_existed || v_rule || ')' into v_sees using v_change.before;
          v_change.is_there := false;
        end if;
      exception when others then
        -- Whose policy fails does not get the row by a query either.
        v_sees := false;
      end;
      v_row := v_row || case
        when v_ended is not null then v_ended
        when not v_sees then 'hidden'
        when v_change.is_there then 'seen'
        else 'gone'
      end;
    end loop;
    v_judged := v_judged || jsonb_build_array(v_row);
  end loop;
  return v_judged;
end;
$$;
comment on function app_private.judge_changes(text, jsonb, jsonb) is
  'What each viewer (settings of a request) may know of each change of a table: seen (the row is theirs to read), gone (it was, and is not any more), hidden, forbidden (the whole table), ended (the session). An array for each viewer.';

grant execute on function
  app_private.live_tables(),
  app_private.reading_rule(text, name),
  app_private.judge_changes(text, jsonb, jsonb)
to :DATABASE_AUTHENTICATOR;

comment on table app_public.items is E'@live\nSomething that a user keeps. Only its owner sees it.';
select app_private.sync_live_triggers();
