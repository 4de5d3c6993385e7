--! Previous: sha1:3f0ba21579291b43e6c57315e428aa90b21b6947
--! Hash: sha1:099658989fa8a83385b261d1b8626077240d6556
--! Message: notify audiences

-- notify() with all that a sender wants; it replaces the one of 000013.

drop function app_public.send_notification(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee
);
drop function app_private.notify(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee
);

create or replace function app_private.refuse_notification(field text, message text) returns void
language plpgsql volatile
as $$
begin
  raise exception using errcode = 'HWINP', message = refuse_notification.message, column = field;
end;
$$;
comment on function app_private.refuse_notification(text, text) is
  'Raises HWINP (BAD_USER_INPUT) that names the argument.';

create or replace function app_private.check_audience(users int[], audience text) returns void
language plpgsql stable
as $$
declare
  v_unknown int;
begin
  if audience is not null and cardinality(users) > 0 then
    perform app_private.refuse_notification('audience', 'Give users or an audience, not both.');
  elsif audience is not null then
    if app_private.audience_query(audience) is null then
      perform app_private.refuse_notification('audience', 'There is no such audience.');
    end if;
    return;
  end if;
  if coalesce(cardinality(users), 0) = 0 or array_position(users, null) is not null then
    perform app_private.refuse_notification('users', 'A notification needs at least one user, by id.');
  end if;
  select u.id into v_unknown from unnest(users) as u(id)
  where not exists (select from app_public.users p where p.id = u.id and p.deleted_at is null)
  limit 1;
  if found then
    perform app_private.refuse_notification('users', format('There is no user %s.', v_unknown));
  end if;
end;
$$;
comment on function app_private.check_audience(int[], text) is
  'Raises HWINP for users or a named audience that do not exist.';

create or replace function app_private.check_times(
  users int[], send_at timestamptz, send_at_local timestamp, expires_at timestamptz, begins_at timestamptz
) returns void
language plpgsql stable
as $$
declare
  v_time_zone text;
begin
  if send_at is not null and send_at_local is not null then
    perform app_private.refuse_notification('send_at_local', 'Give sendAt or sendAtLocal, not both.');
  end if;
  if not isfinite(send_at) or send_at > now() + interval '1 year' then
    perform app_private.refuse_notification('send_at', 'sendAt is more than a year away.');
  end if;
  if not isfinite(send_at_local) or send_at_local > now() + interval '1 year' then
    perform app_private.refuse_notification('send_at_local', 'sendAtLocal is more than a year away.');
  end if;
  if send_at < now() - interval '1 minute' then
    perform app_private.refuse_notification('send_at', 'sendAt is in the past.');
  end if;
  -- Of a named audience nobody knows yet where they live: it must be to come everywhere.
  select u.timezone into v_time_zone
  from (
    select distinct p.timezone from app_public.users p where p.id = any (users)
    union all
    select 'Pacific/Kiritimati' where coalesce(cardinality(users), 0) = 0
  ) as u
  where send_at_local at time zone u.timezone < now() - interval '1 minute'
  limit 1;
  if found then
    perform app_private.refuse_notification(
      'send_at_local', format('sendAtLocal is in the past in %s.', v_time_zone)
    );
  end if;
  if expires_at <= greatest(begins_at, now()) then
    perform app_private.refuse_notification(
      'expires_at', 'A notification cannot expire before it is sent.'
    );
  end if;
end;
$$;
comment on function app_private.check_times(
  int[], timestamptz, timestamp, timestamptz, timestamptz
) is 'Raises HWINP for times that are past, or in the wrong order.';

create or replace function app_private.notify(
  users int[],
  event text,
  message text,
  title text default null,
  data jsonb default null,
  send_at timestamptz default null,
  expires_at timestamptz default null,
  collapse_key text default null,
  priority app_public.notification_priority default null,
  delivery app_public.delivery_guarantee default null,
  send_at_local timestamp default null,
  audience text default null,
  silent boolean default null,
  badge boolean default null,
  unread_seconds int default null
) returns app_public.notifications
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_users int[] = array(select distinct u.id from unnest(notify.users) as u(id) order by u.id);
  v_is_silent boolean = coalesce(silent, false);
  v_begins_at timestamptz = coalesce(
    notify.send_at,
    -- Nobody's clock is ahead of this one's.
    greatest(now(), notify.send_at_local at time zone 'Pacific/Kiritimati'),
    now()
  );
  v_notification app_public.notifications;
begin
  -- Somebody who is named twice gets it once; a list that is mostly repeats is a mistake.
  if cardinality(users) - cardinality(v_users) > 1000 then
    perform app_private.refuse_notification('users', 'More than 1,000 of these users are repeats.');
  end if;
  perform app_private.check_audience(v_users, notify.audience);
  if v_is_silent and notify.title is not null then
    perform app_private.refuse_notification('title', 'A silent notification shows no title.');
  end if;
  if not v_is_silent and coalesce(btrim(notify.message), '') = '' then
    perform app_private.refuse_notification('message', 'A notification needs a message.');
  end if;
  if notify.event is null then
    perform app_private.refuse_notification('event', 'A notification needs an event.');
  end if;
  if exists (select from app_public.notification_events)
    and not exists (select from app_public.notification_events e where e.event = notify.event)
  then
    perform app_private.refuse_notification('event', 'There is no such event.');
  end if;
  perform app_private.check_times(
    v_users, notify.send_at, notify.send_at_local, notify.expires_at, v_begins_at
  );
  perform app_private.check_push_payload(
    notify.event, coalesce(notify.message, ''), notify.title, coalesce(notify.data, '{}')
  );

  insert into app_public.notifications (
    users, event, title, message, data, send_at, expires_at, collapse_key, priority, delivery,
    send_at_local, audience, is_silent, has_badge, unread_seconds
  )
  values (
    v_users,
    notify.event,
    notify.title,
    coalesce(notify.message, ''),
    coalesce(notify.data, '{}'),
    v_begins_at,
    coalesce(notify.expires_at, v_begins_at + interval '4 weeks'),
    notify.collapse_key,
    coalesce(notify.priority, case when v_is_silent then 'normal' else 'high' end::app_public.notification_priority),
    coalesce(notify.delivery, 'at_least_once'),
    notify.send_at_local,
    notify.audience,
    v_is_silent,
    coalesce(notify.badge, false),
    notify.unread_seconds
  )
  returning * into v_notification;

  perform app_private.schedule_fan_out(v_notification.id, v_begins_at);
  return v_notification;
end;
$$;
comment on function app_private.notify(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee,
  timestamp, text, boolean, boolean, int
) is
  'Queues a push to these users, or to a named audience of app_audiences (users null); it commits or rolls back with the caller''s transaction. send_at_local: at this time by each recipient''s own clock. silent: data for the app alone. badge: with the count of unread. unread_seconds: pushed only if still unread after so long. Defaults: now, expires after 4 weeks, high priority, at least once. Raises HWINP (BAD_USER_INPUT) naming the argument.';

create or replace function app_public.send_notification(
  users int[],
  event text,
  message text,
  title text,
  data jsonb,
  send_at timestamptz,
  expires_at timestamptz,
  collapse_key text,
  priority app_public.notification_priority,
  delivery app_public.delivery_guarantee,
  send_at_local timestamp,
  audience text,
  silent boolean,
  badge boolean,
  unread_seconds int,
  dry_run boolean,
  out notification_id int,
  out recipients int,
  out devices int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if dry_run then
    -- Done and undone: what would be refused is refused, and nothing stays.
    begin
      select s.notification_id, s.recipients, s.devices into notification_id, recipients, devices
      from app_public.send_notification(
        users, event, message, title, data, send_at, expires_at, collapse_key, priority, delivery,
        send_at_local, audience, silent, badge, unread_seconds, false
      ) s;
      perform app_private.write_audience(n)
      from app_public.notifications n where n.id = send_notification.notification_id;
      select count(distinct a.user_id), count(d.id) into recipients, devices
      from app_private.notification_audience a
      left join app_public.device_tokens d on d.user_id = a.user_id and d.disabled_at is null
      where a.notification_id = send_notification.notification_id;
      raise exception using errcode = 'HWOK0';
    exception
      when sqlstate 'HWOK0' then notification_id := null;
    end;
    return;
  end if;
  notification_id := (
    app_private.notify(
      users, event, message, title, data, send_at, expires_at, collapse_key, priority, delivery,
      send_at_local, audience, silent, badge, unread_seconds
    )
  ).id;
end;
$$;
comment on function app_public.send_notification(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee,
  timestamp, text, boolean, boolean, int, boolean
) is
  E'@behavior -mutationField\nWhat notify() does, for operators. dry_run: nothing is kept, and recipients and devices are counted. The API wraps it in a typed input.';
grant execute on function app_public.send_notification(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee,
  timestamp, text, boolean, boolean, int, boolean
) to :DATABASE_OPERATOR;

create or replace function app_public.cancel_notification(id int) returns app_public.notifications
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification app_public.notifications;
begin
  -- In the order in which fan-out and workers lock: they finish what they are at.
  perform pg_advisory_xact_lock(hashtextextended('fan out ' || cancel_notification.id, 0));
  perform from app_private.delivery_batches b
  where b.notification_id = cancel_notification.id order by b.id for update;
  select * into v_notification
  from app_public.notifications n where n.id = cancel_notification.id for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such notification.';
  end if;
  if v_notification.status not in ('scheduled', 'sending') then
    raise exception using
      errcode = 'HWCFL',
      message = 'This notification is finished.',
      hint = 'Only what is scheduled or being sent can be canceled.';
  end if;
  delete from app_private.notification_audience a where a.notification_id = v_notification.id;
  delete from app_private.delivery_batches b
  where b.notification_id = v_notification.id and b.worker_id is null;
  -- What a worker has it ends itself; what one had that is gone is nobody's any more.
  update app_public.notification_deliveries d
  set status = 'canceled', next_attempt_at = null
  where d.notification_id = v_notification.id
    and d.status in ('queued', 'retrying', 'sending')
    and not exists (
      select from app_private.delivery_batches b
      where b.notification_id = v_notification.id and d.id = any (b.delivery_ids)
    );
  update app_public.notifications n
  set status = 'canceled' where n.id = v_notification.id
  returning * into v_notification;
  perform app_private.settle_notification(v_notification.id);
  select * into v_notification from app_public.notifications n where n.id = v_notification.id;
  return v_notification;
end;
$$;
comment on function app_public.cancel_notification(int) is
  'Stops what has not been handed to FCM yet; for operators.';

create or replace function app_public.notifications_users(notification app_public.notifications)
returns int[]
language sql stable parallel safe
as $$
  select case
    when not app_hidden.current_user_is_operator() then array[app_public.current_user_id()]
    when notification.audience is null then notification.users
    else array(
      select r.user_id from app_public.notification_recipients r
      where r.notification_id = notification.id order by r.user_id
    )
  end;
$$;

create or replace function app_public.notifications_statistics(notification app_public.notifications)
returns app_public.notification_tally
language sql stable parallel safe
as $$
  select case
    when notification.tally is not null and app_hidden.current_user_is_operator()
      then notification.tally
    -- Not a definer: row-level security makes these the asker's own counts, and an operator's all.
    else (
      select row(
        (
          select count(*) from app_public.notification_recipients r
          where r.notification_id = notification.id
        )::int,
        count(*)::int,
        (count(*) filter (where d.status in ('queued', 'sending', 'retrying')))::int,
        (count(*) filter (where d.status in ('accepted', 'acknowledged')))::int,
        (count(*) filter (where d.status = 'acknowledged'))::int,
        (count(*) filter (where d.status = 'dead_address'))::int,
        (count(*) filter (where d.status = 'failed'))::int,
        (count(*) filter (where d.status = 'unknown'))::int,
        (count(*) filter (where d.status = 'expired'))::int,
        (count(*) filter (where d.status = 'skipped'))::int,
        (count(*) filter (where d.status = 'canceled'))::int
      )::app_public.notification_tally
      from app_public.notification_deliveries d
      where d.notification_id = notification.id
        and d.month = notification.ledger_month
    )
  end;
$$;
