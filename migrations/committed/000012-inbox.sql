--! Previous: sha1:b520af59ef684ab0aa7b1022865ee29c6c6ebc8a
--! Hash: sha1:9609f20bbdf7cc9c0e8704ca7d66e3ef627b2be7
--! Message: inbox

-- What a user sees of notifications and does with them.

create or replace function app_public.notifications_users(notification app_public.notifications)
returns int[]
language sql stable parallel safe
as $$
  select case
    when app_hidden.current_user_is_operator() then notification.users
    else array[app_public.current_user_id()]
  end;
$$;
comment on function app_public.notifications_users(app_public.notifications) is
  E'@notNull\nWhom it was for: an operator sees all, a recipient only themself.';

create or replace function app_public.notifications_read_at(notification app_public.notifications)
returns timestamptz
language sql stable parallel safe
as $$
  select r.read_at from app_public.notification_recipients r
  where r.notification_id = notification.id and r.user_id = app_public.current_user_id();
$$;
comment on function app_public.notifications_read_at(app_public.notifications) is
  'When the user who asks has read it; null for unread.';

create type app_public.notification_tally as (
  recipients int, deliveries int, pending int, accepted int, acknowledged int, dead_address int,
  failed int, unknown int, expired int, skipped int, canceled int
);
comment on type app_public.notification_tally is
  'Counts of a notification. accepted includes acknowledged; pending is queued, sending or retrying.';

-- Not a definer: row-level security makes these the asker's own counts, and an operator's all.
create or replace function app_public.notifications_statistics(notification app_public.notifications)
returns app_public.notification_tally
language sql stable parallel safe
as $$
  select
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
  from app_public.notification_deliveries d
  where d.notification_id = notification.id;
$$;
comment on function app_public.notifications_statistics(app_public.notifications) is
  E'@notNull\nCounts over the ledger: an operator sees all, a recipient their own devices.';

create or replace function app_public.users_unread_notification_count(u app_public.users) returns int
language sql stable parallel safe
as $$
  select count(*)::int from app_public.notification_recipients r
  where r.user_id = u.id and r.read_at is null;
$$;
comment on function app_public.users_unread_notification_count(app_public.users) is
  E'@notNull\nHow many notifications this user has not read.';

create or replace function app_public.mark_notifications_read(ids int[])
returns setof app_public.notifications
language sql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
  with marked as (
    update app_public.notification_recipients r
    set read_at = coalesce(r.read_at, now())
    where r.user_id = app_public.current_user_id() and r.notification_id = any (ids)
    returning r.notification_id
  )
  select n.* from app_public.notifications n
  join marked on marked.notification_id = n.id
  order by n.id;
$$;
comment on function app_public.mark_notifications_read(int[]) is
  'Marks those of the ids that the user who asks received, and returns them; others are as if absent.';

create or replace function app_public.acknowledge_delivery(message_id text, opened boolean default false)
returns app_public.notification_deliveries
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_delivery app_public.notification_deliveries;
begin
  update app_public.notification_deliveries d
  set
    status = 'acknowledged',
    acknowledged_at = coalesce(d.acknowledged_at, now())
  where d.message_id = acknowledge_delivery.message_id
    and d.user_id = app_public.current_user_id()
    and d.status in ('accepted', 'acknowledged')
  returning d.* into v_delivery;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such delivery.';
  end if;
  if opened then
    update app_public.notification_recipients r
    set read_at = coalesce(r.read_at, now())
    where r.notification_id = v_delivery.notification_id and r.user_id = v_delivery.user_id;
  end if;
  return v_delivery;
end;
$$;
comment on function app_public.acknowledge_delivery(text, boolean) is
  'The app''s word that a push arrived (messageId as FCM gave it); opened marks it as read too.';

grant execute on function
  app_public.notifications_users(app_public.notifications),
  app_public.notifications_read_at(app_public.notifications),
  app_public.notifications_statistics(app_public.notifications),
  app_public.users_unread_notification_count(app_public.users),
  app_public.mark_notifications_read(int[]),
  app_public.acknowledge_delivery(text, boolean)
to :DATABASE_USER;
