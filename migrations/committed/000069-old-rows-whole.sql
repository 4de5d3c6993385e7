--! Previous: sha1:e67427159bcebda3e38d4ab192dc0e66b1ddf7ba
--! Hash: sha1:50fe10869c2c8ddd586bf614678408de93d05b56
--! Message: old rows whole

-- Who could see a row that is gone is asked with the values that it had, exactly: the whole row where a policy takes
-- it whole, nulls within values, numbers of any length, up to 7 kB. What is longer fits the arguments of a subscription
-- still. And a search that PostgreSQL could not read.

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
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where pol.polrelid = c.oid and pol.polcmd in ('r', '*') and a.attname <> all (k.matched)
      and (
        -- Handed over whole, as in may_read(notes), which pg_depend does not tell: then each column may count.
        pol.polqual::text ~ ':varno 1 :varattno 0 '
        or exists (
          select
          from pg_depend d
          where d.classid = 'pg_policy'::regclass and d.objid = pol.oid
            and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = a.attnum
        )
      )
  ) p
  where c.relkind in ('r', 'p')
    and obj_description(c.oid, 'pg_class') ~ '^(@[^\n]*\n)*@live(\s|$)';
$$;

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
  v_event text = format(
    '{"topic": "changes", "keys": [%s], "payload": [',
    to_json(format('%I.%I', tg_table_schema, tg_table_name))
  );
  -- A NOTIFY holds less than 8,000 bytes.
  v_most int = 7990 - octet_length(v_event);
  v_change jsonb;
  v_text text;
  v_payload text = '';
begin
  if tg_op <> 'INSERT' then
    select array_agg(to_jsonb(o)) into v_before from old_rows o;
  end if;
  if tg_op <> 'DELETE' then
    select array_agg(to_jsonb(n)) into v_after from new_rows n;
  end if;
  for v_change in
    select
      jsonb_strip_nulls(
        jsonb_build_object(
          'op', case when b.row is null then 'INSERT' when a.row is null then 'DELETE' else tg_op end,
          'id', app_private.json_value(coalesce(a.row, b.row) -> v_key),
          'before', (
            select jsonb_object_agg(c, app_private.json_value(b.row -> c))
            from unnest(v_matched) c where b.row is not null
          ),
          'after', (
            select jsonb_object_agg(c, app_private.json_value(a.row -> c))
            from unnest(v_matched) c where a.row is not null
          ),
          -- As text, which JavaScript carries as it is: numbers are whole, and nulls within values stay.
          'asked', case
            when v_told <> v_matched then (
              select jsonb_object_agg(c, b.row -> c)::text
              from unnest(v_told) c where c <> all (v_matched) and b.row -> c <> 'null'
            )
          end,
          'owners', case when v_owner <> '' then jsonb_build_array(b.row -> v_owner, a.row -> v_owner) end
        )
      )
    from unnest(v_after) with ordinality as a(row, position)
    full join unnest(v_before) with ordinality as b(row, position)
      on a.row -> v_key = b.row -> v_key
    where a.row is distinct from b.row
    order by a.position, b.position
  loop
    v_text := v_change;
    if octet_length(v_text) > v_most then
      -- What the policies would ask is not known then, and nobody gets to see it where it is gone.
      v_text := v_change - 'asked' || '{"untold": true}';
    end if;
    if octet_length(v_text) > v_most then
      v_text := v_change - '{asked,before,after}'::text[] || '{"untold": true}';
    end if;
    if v_payload <> '' and octet_length(v_payload) + octet_length(v_text) >= v_most then
      perform pg_notify('howdah_live', v_event || v_payload || ']}');
      v_payload := '';
    end if;
    v_payload := v_payload || case when v_payload <> '' then ',' else '' end || v_text;
  end loop;
  if v_payload <> '' then
    perform pg_notify('howdah_live', v_event || v_payload || ']}');
  end if;
  return null;
end;
$$;

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
      select
        c.value -> 'id' as id,
        case
          when c.value -> 'untold' is null
            then c.value -> 'before' || coalesce((c.value ->> 'asked')::jsonb, '{}')
        end as before,
        c.value ->> 'op' <> 'DELETE' as is_there
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

select app_private.sync_live_triggers();

create or replace function app_hidden.search_query(search text) returns tsquery
-- Not strict, as search_items() is not.
language sql immutable parallel safe
as $$
  -- PostgreSQL has an error of its own (XX000) for some dozens of minuses with nothing between them that it reads.
  select websearch_to_tsquery(
    'simple', regexp_replace(search_query.search, '(-[\s!&|()<]*){2,}', '-', 'g')
  );
$$;
comment on function app_hidden.search_query(text) is
  'What search_items() looks for, whatever is given.';
grant execute on function app_hidden.search_query(text) to :DATABASE_USER;

create or replace function app_public.search_items(search text) returns setof app_public.items
-- Not strict: then it is a part of the statement that asks, which can page and count without it.
language sql stable parallel safe rows 20
as $$
  select i.*
  from app_public.items i, app_hidden.search_query(search_items.search) as wanted
  where i.search @@ wanted
  order by ts_rank(i.search, wanted) desc, i.id desc;
$$;

create or replace function app_hidden.item_rank(item app_public.items, search text)
returns double precision
-- Not strict, as search_items() is not.
language sql stable parallel safe
as $$
  select ts_rank(item.search, app_hidden.search_query(item_rank.search))::double precision;
$$;
