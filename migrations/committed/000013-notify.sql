--! Previous: sha1:9609f20bbdf7cc9c0e8704ca7d66e3ef627b2be7
--! Hash: sha1:9d2b454a953e09c74bc32f8dcea308438f4d24c7
--! Message: notify

-- The one way to send: notify() writes the notification and its job in the caller's transaction.

create or replace function app_private.check_push_payload(
  event text, message text, title text, data jsonb
) returns void
language plpgsql stable
as $$
declare
  v_key text;
begin
  if jsonb_typeof(data) <> 'object' then
    return; -- The table's constraint says so.
  end if;
  select key into v_key from jsonb_each(data) where jsonb_typeof(value) <> 'string' limit 1;
  if found then
    raise exception using
      errcode = 'HWINP',
      message = format('The value of "%s" in data is not a string; FCM takes only strings.', v_key),
      column = 'data';
  end if;
  select key into v_key from jsonb_object_keys(data) as key
  where key in ('from', 'gcm', 'notification', 'message_type', 'notification_id', 'event', '')
    or key like 'google%' or key like 'gcm.%'
  limit 1;
  if found then
    raise exception using
      errcode = 'HWINP',
      message = format('The key "%s" in data is reserved.', v_key),
      hint = 'Use another name: from, gcm, notification, message_type, notification_id, event and google… are taken.',
      column = 'data';
  end if;
  -- FCM counts the message as it is sent; 128 bytes are for the ids that go along.
  if octet_length(
    jsonb_build_object('title', title, 'body', message, 'event', event, 'data', data)::text
  ) + 128 > 4096 then
    raise exception using
      errcode = 'HWINP',
      message = 'The push is too long: title, message and data have at most 4,096 bytes together.',
      column = 'message';
  end if;
end;
$$;
comment on function app_private.check_push_payload(text, text, text, jsonb) is
  'Raises HWINP (BAD_USER_INPUT) for what FCM would refuse: size, reserved keys, values that are no strings.';

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
  delivery app_public.delivery_guarantee default null
) returns app_public.notifications
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_users int[] = array(select distinct u.id from unnest(notify.users) as u(id) order by u.id);
  v_unknown int;
  v_send_at timestamptz = coalesce(notify.send_at, now());
  v_notification app_public.notifications;
begin
  if coalesce(cardinality(v_users), 0) = 0 or array_position(v_users, null) is not null then
    raise exception using
      errcode = 'HWINP', message = 'A notification needs at least one user, by id.', column = 'users';
  end if;
  select u.id into v_unknown from unnest(v_users) as u(id)
  where not exists (select from app_public.users p where p.id = u.id and p.deleted_at is null)
  limit 1;
  if found then
    raise exception using
      errcode = 'HWINP', message = format('There is no user %s.', v_unknown), column = 'users';
  end if;
  if coalesce(btrim(notify.message), '') = '' then
    raise exception using
      errcode = 'HWINP', message = 'A notification needs a message.', column = 'message';
  end if;
  if notify.event is null then
    raise exception using
      errcode = 'HWINP', message = 'A notification needs an event.', column = 'event';
  end if;
  if v_send_at < now() - interval '1 minute' then
    raise exception using
      errcode = 'HWINP', message = 'sendAt is in the past.', column = 'send_at';
  end if;
  if notify.expires_at <= greatest(v_send_at, now()) then
    raise exception using
      errcode = 'HWINP',
      message = 'A notification cannot expire before it is sent.',
      column = 'expires_at';
  end if;
  perform app_private.check_push_payload(
    notify.event, notify.message, notify.title, coalesce(notify.data, '{}')
  );

  insert into app_public.notifications (
    users, event, title, message, data, send_at, expires_at, collapse_key, priority, delivery
  )
  values (
    v_users,
    notify.event,
    notify.title,
    notify.message,
    coalesce(notify.data, '{}'),
    v_send_at,
    coalesce(notify.expires_at, v_send_at + interval '4 weeks'),
    notify.collapse_key,
    coalesce(notify.priority, 'high'),
    coalesce(notify.delivery, 'at_least_once')
  )
  returning * into v_notification;

  perform graphile_worker.add_job(
    'fan_out_notification',
    json_build_object('notificationId', v_notification.id),
    run_at := v_send_at
  );
  return v_notification;
end;
$$;
comment on function app_private.notify(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee
) is
  'Queues a push to these users; it commits or rolls back with the caller''s transaction. Defaults: sent now, expires after 4 weeks, high priority, at least once. Raises HWINP (BAD_USER_INPUT) naming the argument.';

create or replace function app_public.send_notification(
  users int[],
  event text,
  message text,
  title text default null,
  data jsonb default null,
  send_at timestamptz default null,
  expires_at timestamptz default null,
  collapse_key text default null,
  priority app_public.notification_priority default null,
  delivery app_public.delivery_guarantee default null
) returns app_public.notifications
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.notify(
    users, event, message, title, data, send_at, expires_at, collapse_key, priority, delivery
  );
$$;
comment on function app_public.send_notification(
  int[], text, text, text, jsonb, timestamptz, timestamptz, text,
  app_public.notification_priority, app_public.delivery_guarantee
) is
  'Sends a push to these users, by id; for operators. The answer comes at once, the deliveries follow in the ledger.';

create or replace function app_public.cancel_notification(id int) returns app_public.notifications
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification app_public.notifications;
begin
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
  update app_public.notification_deliveries d
  set status = 'canceled'
  where d.notification_id = v_notification.id and d.status in ('queued', 'retrying');
  update app_public.notifications n
  set status = 'canceled' where n.id = v_notification.id
  returning * into v_notification;
  return v_notification;
end;
$$;
comment on function app_public.cancel_notification(int) is
  'Stops what has not been handed to FCM yet; for operators.';

grant execute on function
  app_public.send_notification(
    int[], text, text, text, jsonb, timestamptz, timestamptz, text,
    app_public.notification_priority, app_public.delivery_guarantee
  ),
  app_public.cancel_notification(int)
to :DATABASE_OPERATOR;
