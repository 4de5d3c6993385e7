--! Previous: sha1:39a3ec58a8640bd8e9572d684879eacb37c0f749
--! Hash: sha1:8faf1f2305681c62d3a46979d5b2d8be9b342ad3
--! Message: live values

-- Live events tell values as their types write them, a bigint whole, and whoever loses the role of an operator
-- is disconnected as at a log-out: their token is refused from then on.

create or replace function app_private.json_value(value jsonb) returns jsonb
language sql immutable parallel safe
as $$
  -- JavaScript reads a number as a double, in which 2^53 + 1 is 2^53.
  select case
    when jsonb_typeof(value) = 'number' and abs(value::numeric) > 9007199254740991
      then to_jsonb(value #>> '{}')
    else value
  end;
$$;
comment on function app_private.json_value(jsonb) is
  'The value, as text where it is a number that JavaScript could not read exactly.';

create or replace function app_private.live_values(table_name text, given jsonb) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_table text;
  v_row jsonb;
begin
  select l.name into strict v_table from app_private.live_tables() l where l.name = table_name;
  execute format('select to_jsonb(jsonb_populate_record(null::%s, $1))', v_table) into v_row using given;
  return (
    select jsonb_object_agg(k.key, app_private.json_value(v_row -> k.key))
    from jsonb_object_keys(given) k(key)
  );
end;
$$;
comment on function app_private.live_values(text, jsonb) is
  'Values of columns as the events of a table tell them: a uuid in small letters, whatever was given. Errs where one is none of its type.';
grant execute on function app_private.live_values(text, jsonb) to :DATABASE_AUTHENTICATOR;

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
              'id', app_private.json_value(coalesce(a.row, b.row) -> v_key),
              'before', (
                select jsonb_object_agg(c, app_private.json_value(b.row -> c))
                from unnest(v_told) c where b.row is not null
              ),
              'after', (
                select jsonb_object_agg(c, app_private.json_value(a.row -> c))
                from unnest(v_matched) c where a.row is not null
              ),
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

create or replace function app_private.tg_operators__publish_end() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_hidden.publish('session_ended', array_agg(s.id), '{}')
  from app_public.sessions s
  where s.user_id = old.user_id and s.revoked_at is null
  having count(*) > 0;
  return null;
end;
$$;
comment on function app_private.tg_operators__publish_end() is
  'Trigger: closes the sockets of who is no operator any more.';

drop trigger if exists _600_publish_end on app_private.operators;
create trigger _600_publish_end
  after delete on app_private.operators
  for each row execute function app_private.tg_operators__publish_end();
