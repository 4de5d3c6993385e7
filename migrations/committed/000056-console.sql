--! Previous: sha1:cc10cad70561cfdb03067ab30c70b4ed9d430277
--! Hash: sha1:39a3ec58a8640bd8e9572d684879eacb37c0f749
--! Message: console

-- What operators look at when they ask "did it arrive, and if not, why?": figures over the ledger and the
-- queue, a search, an explanation in words, failed jobs, and what may be tried again.

-- Small, and in no way of HOT updates: it says in which blocks the last hour is.
create index notification_deliveries_created_at_idx
  on app_public.notification_deliveries using brin (created_at) with (pages_per_range = 32, autosummarize = on);

create type app_public.push_minute as (
  starts_at timestamptz, waiting int, accepted int, dead int, failed int, skipped int
);
comment on type app_public.push_minute is
  'The deliveries that were queued within a minute, by what became of them. accepted includes acknowledged, failed what expired or stayed unknown, skipped what was canceled.';

create or replace function app_public.push_minutes(minutes int default 60)
returns setof app_public.push_minute
language sql stable parallel safe
as $$
  with delivery as (
    select
      date_trunc('minute', d.created_at) as starts_at,
      count(*) filter (where d.status in ('queued', 'sending', 'retrying')) as waiting,
      count(*) filter (where d.status in ('accepted', 'acknowledged')) as accepted,
      count(*) filter (where d.status = 'dead_address') as dead,
      count(*) filter (where d.status in ('failed', 'unknown', 'expired')) as failed,
      count(*) filter (where d.status in ('skipped', 'canceled')) as skipped
    from app_public.notification_deliveries d
    where d.created_at >= date_trunc('minute', now()) - make_interval(mins => least(minutes, 100) - 1)
    group by 1
  )
  select
    m.starts_at,
    coalesce(d.waiting, 0)::int,
    coalesce(d.accepted, 0)::int,
    coalesce(d.dead, 0)::int,
    coalesce(d.failed, 0)::int,
    coalesce(d.skipped, 0)::int
  from generate_series(
    date_trunc('minute', now()) - make_interval(mins => least(minutes, 100) - 1),
    date_trunc('minute', now()),
    interval '1 minute'
  ) as m(starts_at)
  left join delivery d on d.starts_at = m.starts_at
  order by m.starts_at;
$$;
comment on function app_public.push_minutes(int) is
  'The deliveries of the last minutes (at most 100), by minute and outcome; for operators.';

create type app_public.push_state as (
  queued int,
  oldest_seconds double precision,
  waiting int,
  held int,
  scheduled int,
  latency_median double precision,
  latency_p95 double precision,
  workers int,
  failed_jobs int
);
comment on type app_public.push_state is 'How sending stands at this moment.';
comment on column app_public.push_state.queued is 'Deliveries that are due or being sent.';
comment on column app_public.push_state.oldest_seconds is
  'For how long the first of those has been due; null where nothing is.';
comment on column app_public.push_state.waiting is
  'Deliveries that wait for their time: retries, quiet hours, pauses.';
comment on column app_public.push_state.held is
  'Deliveries that a circuit breaker holds until an operator decides.';
comment on column app_public.push_state.scheduled is 'Notifications whose sending has not begun.';
comment on column app_public.push_state.latency_median is
  'Milliseconds from when a push could go out to FCM''s acceptance, over the last hour; null where there was none.';
comment on column app_public.push_state.latency_p95 is 'The same, for the slowest of twenty.';
comment on column app_public.push_state.workers is 'Worker processes that live.';
comment on column app_public.push_state.failed_jobs is 'Jobs whose last attempt failed.';

create type app_public.failed_job as (
  id bigint,
  task text,
  attempts int,
  max_attempts int,
  last_error text,
  created_at timestamptz,
  run_at timestamptz,
  is_given_up boolean
);
comment on type app_public.failed_job is 'A job of the queue whose last attempt failed.';
comment on column app_public.failed_job.run_at is 'When it is tried again, unless it is given up.';
comment on column app_public.failed_job.is_given_up is 'True once it has had all its attempts.';

-- plpgsql, like everything that speaks to the queue: its schema need not be there when this is created.
create or replace function app_public.failed_jobs() returns setof app_public.failed_job
language plpgsql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  return query
  select
    j.id::bigint, j.task_identifier, j.attempts::int, j.max_attempts::int, left(j.last_error, 2000),
    j.created_at, j.run_at, j.attempts >= j.max_attempts
  from graphile_worker.jobs j
  where j.last_error is not null and app_hidden.request_is_by_operator()
  order by j.attempts >= j.max_attempts desc, j.updated_at desc;
end;
$$;
comment on function app_public.failed_jobs() is
  'Jobs whose last attempt failed, those that are given up first; for operators.';

create or replace function app_public.retry_job(id bigint) returns app_public.failed_job
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_job app_public.failed_job;
begin
  select f.* into v_job from app_public.failed_jobs() f where f.id = retry_job.id;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such failed job.';
  end if;
  perform graphile_worker.reschedule_jobs(array[v_job.id], run_at := now(), attempts := 0);
  return v_job;
end;
$$;
comment on function app_public.retry_job(bigint) is
  'Has a failed job tried again at once, with all its attempts; for operators. Answers how it stood before.';

create or replace function app_public.push_state() returns app_public.push_state
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  with
    batch as (
      select
        sum(cardinality(b.delivery_ids)) filter (where b.circuit_breaker_id is not null) as held,
        sum(cardinality(b.delivery_ids)) filter (
          where b.circuit_breaker_id is null and (b.run_at <= now() or b.worker_id is not null)
        ) as queued,
        sum(cardinality(b.delivery_ids)) filter (
          where b.circuit_breaker_id is null and b.run_at > now() and b.worker_id is null
        ) as waiting,
        extract(epoch from now() - min(b.run_at) filter (
          where b.circuit_breaker_id is null and b.run_at <= now()
        )) as oldest_seconds
      from app_private.delivery_batches b
    ),
    latency as (
      select percentile_cont(array[0.5, 0.95]) within group (
        order by extract(epoch from d.sent_at - greatest(n.send_at, n.created_at)) * 1000
      ) as percentiles
      from app_public.notification_deliveries d
      join app_public.notifications n on n.id = d.notification_id
      where d.created_at > now() - interval '1 hour'
        and d.sent_at is not null
        -- These go out when the recipient's clock, or their reading, says so.
        and n.send_at_local is null
        and n.unread_seconds is null
    )
  select
    coalesce(b.queued, 0)::int,
    b.oldest_seconds::double precision,
    coalesce(b.waiting, 0)::int,
    coalesce(b.held, 0)::int,
    (select count(*) from app_public.notifications n where n.status = 'scheduled')::int,
    l.percentiles[1],
    l.percentiles[2],
    (select count(*) from app_private.workers w where app_private.is_alive(w))::int,
    (select count(*) from app_public.failed_jobs())::int
  from batch b, latency l
  where app_hidden.request_is_by_operator();
$$;
comment on function app_public.push_state() is 'How sending stands at this moment; for operators.';

create or replace function app_public.push_audiences() returns setof text
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select a.name
  from (
    select c.relname::text as name from pg_class c
    where c.relnamespace = 'app_audiences'::regnamespace and c.relkind in ('v', 'm', 'r')
    union
    select p.proname::text from pg_proc p where p.pronamespace = 'app_audiences'::regnamespace
  ) a
  where app_private.audience_query(a.name) is not null and app_hidden.request_is_by_operator()
  order by a.name;
$$;
comment on function app_public.push_audiences() is
  'The named audiences that sendNotification takes; for operators.';

create or replace function app_public.search_notifications(
  search text default null, statuses app_public.notification_status[] default null
) returns setof app_public.notifications
language sql stable parallel safe
as $$
  select n.*
  from app_public.notifications n
  where (statuses is null or n.status = any (statuses))
    and (
      coalesce(search, '') = ''
      or n.id::text = search
      or position(lower(search) in lower(concat_ws(' ', n.event, n.title, n.message, n.audience))) > 0
    )
  order by n.id desc;
$$;
comment on function app_public.search_notifications(text, app_public.notification_status[]) is
  'Notifications by their number, or by words of their event, title, text or audience; newest first. A user finds what they received, an operator all.';

create or replace function app_public.retry_deliveries(notification_id int)
returns app_public.notifications
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification app_public.notifications;
  v_ids bigint[];
  v_types app_public.device_type[];
begin
  -- In the order in which fan-out and workers lock.
  perform pg_advisory_xact_lock(hashtextextended('fan out ' || retry_deliveries.notification_id, 0));
  select * into v_notification
  from app_public.notifications n where n.id = retry_deliveries.notification_id for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such notification.';
  end if;
  if v_notification.status not in ('sent', 'partial', 'failed', 'no_devices')
    or v_notification.expires_at <= now()
  then
    raise exception using
      errcode = 'HWCFL',
      message = 'Nothing of this notification can be tried again.',
      hint = 'It is still being sent, was canceled, or has expired.';
  end if;
  with retried_delivery as (
    update app_public.notification_deliveries d
    set status = 'queued', error_code = null, next_attempt_at = null
    from app_public.device_tokens t
    where d.notification_id = v_notification.id
      and d.month = v_notification.ledger_month
      -- What is unknown may have arrived: it is not repeated.
      and d.status in ('failed', 'dead_address')
      -- A dead address is worth another try once the app has registered again.
      and t.id = d.device_token_id
      and t.user_id = d.user_id
      and t.disabled_at is null
    returning d.id, d.device_type
  )
  select array_agg(r.id), array_agg(r.device_type) into v_ids, v_types from retried_delivery r;
  if v_ids is null then
    raise exception using
      errcode = 'HWCFL',
      message = 'Nothing of this notification can be tried again.',
      hint = 'Only what FCM refused, to devices that are registered.';
  end if;
  perform app_private.add_batches(v_notification.id, v_notification.ledger_month, v_ids, v_types, now());
  update app_public.notifications n
  set status = 'sending' where n.id = v_notification.id
  returning * into v_notification;
  return v_notification;
end;
$$;
comment on function app_public.retry_deliveries(int) is
  'Sends again what FCM refused, where the device is registered (again) and the notification has not expired; for operators.';

create or replace function app_hidden.instant(moment timestamptz) returns text
language sql stable strict parallel safe
as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD HH24:MI" UTC"');
$$;
comment on function app_hidden.instant(timestamptz) is 'A time in a sentence.';

create or replace function app_public.explain_delivery(notification_id int, user_id int) returns text
language plpgsql stable strict parallel safe
as $$
declare
  v_notification app_public.notifications;
  v_user app_public.users;
  v_total int;
  v_accepted int;
  v_last app_public.notification_deliveries;
  v_pause text;
begin
  -- Not a definer: row-level security decides of which notification and of whom one may ask.
  select * into v_notification from app_public.notifications n where n.id = explain_delivery.notification_id;
  select * into v_user from app_public.users u where u.id = explain_delivery.user_id;
  if v_notification.id is null or v_user.id is null then
    raise exception using errcode = 'HWNFD', message = 'There is no such notification or user.';
  end if;
  select count(*), count(*) filter (where d.status in ('accepted', 'acknowledged'))
  into v_total, v_accepted
  from app_public.notification_deliveries d
  where d.user_id = v_user.id and d.notification_id = v_notification.id;
  -- The device that it came nearest to.
  select d.* into v_last
  from app_public.notification_deliveries d
  where d.user_id = v_user.id and d.notification_id = v_notification.id
  order by
    array_position(
      array['acknowledged', 'accepted', 'sending', 'retrying', 'queued', 'unknown', 'failed', 'dead_address'],
      d.status::text
    ) nulls last,
    d.id
  limit 1;

  if v_total = 0 then
    return case
      when v_notification.tally is not null then 'It is so old that its ledger has been dropped; only its counts were kept.'
      when exists (
        select from app_public.notification_recipients r
        where r.notification_id = v_notification.id and r.user_id = v_user.id
      ) then 'It is in their inbox, but they had no registered device when it was sent.'
      when v_notification.status = 'scheduled' then
        format('It has not been sent yet: it is planned for %s.', app_hidden.instant(v_notification.send_at))
      when v_user.is_deleted then 'Their account was closed before it was sent.'
      when v_notification.status = 'canceled' then 'It was canceled before it came to them, or they were not among its recipients.'
      when v_notification.status = 'sending' then 'It is being sent and has not come to them yet, or they are not among its recipients.'
      when v_notification.status = 'expired' then 'It expired before it came to them, or they were not among its recipients.'
      else 'They were not among its recipients.'
    end;
  end if;
  if v_last.status in ('queued', 'retrying') and app_hidden.current_user_is_operator() then
    select p.error_code into v_pause
    from app_public.push_pauses p
    where p.ended_at is null
      and p.paused_until > now()
      and (p.device_type is null or p.device_type = v_last.device_type)
    limit 1;
  end if;
  return case v_last.status::text
    when 'acknowledged' then format(
      'It reached them: the app on their %s device said so at %s.',
      v_last.device_type, app_hidden.instant(v_last.acknowledged_at)
    )
    when 'accepted' then format(
      'FCM accepted it for %s of %s devices at %s, and no app has confirmed it: the device is offline, does not show notifications, or its app does not acknowledge.',
      v_accepted, v_total, app_hidden.instant(v_last.sent_at)
    )
    when 'sending' then 'A worker is handing it to FCM at this moment.'
    when 'unknown' then format(
      'Nobody knows: no answer of FCM came (%s), and it must not be sent twice.',
      coalesce(v_last.error_code, 'no error code')
    )
    when 'failed' then format(
      'FCM refused it with %s after %s.',
      coalesce(v_last.error_code, 'no error code'),
      case v_last.attempts when 1 then '1 attempt' else v_last.attempts || ' attempts' end
    )
    when 'dead_address' then format(
      'FCM says that the address of their %s device is dead (%s): the app was removed, or has not been opened since its token changed.',
      v_last.device_type, coalesce(v_last.error_code, 'no error code')
    )
    when 'expired' then format(
      'It expired at %s before FCM accepted it%s.',
      app_hidden.instant(v_notification.expires_at),
      coalesce('; the last answer was ' || v_last.error_code, '')
    )
    when 'canceled' then 'It was canceled before it was handed to FCM.'
    when 'skipped' then case v_last.error_code
      when 'PREFERENCE' then format('They have turned pushes of "%s" off; it is in their inbox.', v_notification.event)
      when 'READ' then 'They had read it in the app before the push was due.'
      else 'Their device was logged out, or passed to somebody else, before it was sent.'
    end
    else case
      when v_last.next_attempt_at = 'infinity' then 'It is held: suspiciously many addresses seemed dead, and an operator has to decide.'
      when v_last.error_code = 'QUIET_HOURS' then format(
        'It waits for the end of their quiet hours at %s.', app_hidden.instant(v_last.next_attempt_at)
      )
      when v_pause is not null then format('It waits: sending is paused, because FCM answered %s.', v_pause)
      when v_last.error_code is not null then format(
        'FCM answered %s; it is tried again at %s.',
        v_last.error_code, app_hidden.instant(coalesce(v_last.next_attempt_at, now()))
      )
      else 'It is in the queue and waits for a worker.'
    end
  end;
end;
$$;
comment on function app_public.explain_delivery(int, int) is
  'Whether a notification reached a user, and if not, why: one sentence. About oneself, or for an operator about anybody.';

-- What is told of each notification as its state changes; to operators alone (the subscription checks that).
create or replace function app_private.tg_notifications__publish_activity() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_hidden.publish('push_activity', array[0], jsonb_build_object('id', new.id));
  return null;
end;
$$;
comment on function app_private.tg_notifications__publish_activity() is
  'Trigger: tells the operators'' subscriptions that a notification begins to be sent, or has ended.';
create trigger _500_publish_activity
  after update of status on app_public.notifications
  for each row when (old.status is distinct from new.status)
  execute function app_private.tg_notifications__publish_activity();

create type app_public.access_rule as (
  table_name text, role text, command text, is_granted boolean, columns text[], rule text
);
comment on type app_public.access_rule is
  'What a role may do with a table. columns: those that may be written, where not all; rule: of which rows, null for all.';

create or replace function app_public.access_rules() returns setof app_public.access_rule
language sql stable parallel safe
as $$
  select
    c.relname::text,
    r.label,
    k.command,
    case
      when k.command in ('insert', 'update') then has_any_column_privilege(r.name, c.oid, k.command)
      else has_table_privilege(r.name, c.oid, k.command)
    end,
    case when k.command in ('insert', 'update') then (
      select array_agg(a.attname::text order by a.attnum) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(r.name, c.oid, a.attnum, k.command)
    ) end,
    (
      select string_agg(
        nullif(coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), 'true'),
        ' or ' order by p.polname
      )
      from pg_policy p
      where p.polrelid = c.oid
        and p.polcmd = k.code
        and exists (select from unnest(p.polroles) o(oid) where pg_has_role(r.name, o.oid, 'usage'))
      -- One that lets everything through makes the others idle.
      having not bool_or(coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) = 'true')
    )
  from pg_class c
  cross join (
    values
      ('anonymous', ':DATABASE_ANONYMOUS'::name, 1),
      ('user', ':DATABASE_USER'::name, 2),
      ('operator', ':DATABASE_OPERATOR'::name, 3)
  ) as r(label, name, position)
  cross join (
    values ('select', 'r'::"char", 1), ('insert', 'a'::"char", 2), ('update', 'w'::"char", 3), ('delete', 'd'::"char", 4)
  ) as k(command, code, position)
  where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p')
  order by c.relname, r.position, k.position;
$$;
comment on function app_public.access_rules() is
  'Who may do what with which table, from the catalogue; for operators.';

create type app_public.schema_table as (
  name text, description text, columns jsonb
);
comment on type app_public.schema_table is
  'A table: columns is an array of {name, type, isRequired, isKey, references}.';

create or replace function app_public.schema_tables() returns setof app_public.schema_table
language sql stable parallel safe
as $$
  select
    c.relname::text,
    -- Without the smart tags.
    btrim(regexp_replace(obj_description(c.oid, 'pg_class'), '^(@[^\n]*\n)+', '')),
    (
      select jsonb_agg(
        jsonb_build_object(
          'name', a.attname,
          'type', format_type(a.atttypid, a.atttypmod),
          'isRequired', a.attnotnull,
          'isKey', exists (
            select from pg_constraint k
            where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any (k.conkey)
          ),
          'references', coalesce(
            (
              select f.confrelid::regclass::text from pg_constraint f
              where f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[a.attnum] and f.conparentid = 0
              limit 1
            ),
            -- The ledger has its foreign keys as smart tags alone.
            substring(
              obj_description(c.oid, 'pg_class')
              from '@foreignKey \(' || a.attname || '\) references (app_public\.[a-z_0-9]+)'
            )
          )
        )
        order by a.attnum
      )
      from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    )
  from pg_class c
  where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p')
  order by c.relname;
$$;
comment on function app_public.schema_tables() is
  'The tables of the API with columns and references, from the catalogue; for operators.';

grant execute on function
  app_public.push_minutes(int),
  app_public.push_state(),
  app_public.push_audiences(),
  app_public.failed_jobs(),
  app_public.retry_job(bigint),
  app_public.retry_deliveries(int),
  app_public.access_rules(),
  app_public.schema_tables()
to :DATABASE_OPERATOR;
grant execute on function
  app_public.search_notifications(text, app_public.notification_status[]),
  app_public.explain_delivery(int, int),
  app_hidden.instant(timestamptz)
to :DATABASE_USER;

-- Operators look at one notification's deliveries by status.
comment on column app_public.notification_deliveries.status is
  E'@allow unindexed_filter because it is asked for within one notification, whose deliveries an index finds\n@behavior -orderBy\nqueued, sending and retrying go on; the others are final, but accepted may become acknowledged.';
