--! Previous: sha1:a397e6cd5d644171a40bbd79172f39c18742b6f2
--! Hash: sha1:c4f7815d033fb08ade46a681eb971f6e8cfd937d
--! Message: audiences

-- For whom a notification is still to be fanned out, and when: by a list of users, or by a named audience.

create schema app_audiences;
comment on schema app_audiences is
  'Yours: each view with a column user_id, or function without arguments that returns user ids, is an audience that sendNotification can name. Evaluated by the owner when the sending begins.';

create table app_private.notification_audience (
  notification_id int not null,
  user_id int not null,
  due_at timestamptz,
  constraint notification_audience_pkey primary key (notification_id, user_id)
);
alter table app_private.notification_audience enable row level security;
create index notification_audience_due_at_idx
  on app_private.notification_audience (notification_id, due_at) where due_at is not null;
create index notification_audience_user_id_idx
  on app_private.notification_audience (user_id) where due_at is not null;
comment on table app_private.notification_audience is
  'Users who are still to get a notification; a row goes when its deliveries are written. Without foreign keys: rows live for seconds, and are many. No policy, no grant: the owner only.';
comment on column app_private.notification_audience.due_at is
  'Not before, by the clock of the user''s time zone (send_at_local); null: at once.';

-- A row for each recipient as well, and checked by the fan-out that alone writes them: a foreign key would
-- take as long again as the row. What it does on deletion is done by triggers, for all rows at once.
alter table app_public.notification_recipients
  drop constraint notification_recipients_notification_id_fkey,
  drop constraint notification_recipients_user_id_fkey;

create or replace function app_private.tg_users__delete_inbox() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from app_public.notification_recipients r using gone g where r.user_id = g.id;
  delete from app_private.notification_audience a using gone g where a.user_id = g.id;
  return null;
end;
$$;
comment on function app_private.tg_users__delete_inbox() is
  'Trigger: the inbox goes with a user whose row is deleted.';
create trigger _400_delete_inbox
  after delete on app_public.users
  referencing old table as gone
  for each statement execute function app_private.tg_users__delete_inbox();

create or replace function app_private.tg_notifications__delete_recipients() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from app_public.notification_recipients r using gone g where r.notification_id = g.id;
  delete from app_private.notification_audience a using gone g where a.notification_id = g.id;
  return null;
end;
$$;
comment on function app_private.tg_notifications__delete_recipients() is
  'Trigger: recipients go with a notification whose row is deleted.';
create trigger _400_delete_recipients
  after delete on app_public.notifications
  referencing old table as gone
  for each statement execute function app_private.tg_notifications__delete_recipients();

alter table app_public.notifications
  drop constraint notifications_users_present,
  add column audience text,
  add column send_at_local timestamp,
  add column is_silent boolean not null default false,
  add column has_badge boolean not null default false,
  add column unread_seconds int,
  add column is_audience_known boolean not null default false,
  add column tally app_public.notification_tally,
  add constraint notifications_for_somebody check (
    (audience is null) = (cardinality(users) > 0)
  ),
  add constraint notifications_unread_seconds_range check (unread_seconds between 1 and 2419200);
comment on column app_public.notifications.audience is
  'The view or function of app_audiences that says for whom; null where users are listed.';
comment on column app_public.notifications.send_at_local is
  'Not before this time by the clock of each recipient''s own time zone.';
comment on column app_public.notifications.is_silent is
  'Data for the app alone: nothing is shown, and it counts as read.';
comment on column app_public.notifications.has_badge is
  'The push carries the recipient''s count of unread notifications for the app''s badge.';
comment on column app_public.notifications.unread_seconds is
  'Pushed only if it is still unread so many seconds after it has come into the inbox.';
comment on column app_public.notifications.is_audience_known is
  E'@behavior -*\nTrue once its audience has been written down.';
comment on column app_public.notifications.tally is
  E'@behavior -*\nIts counts from before its ledger was dropped.';
comment on constraint notifications_for_somebody on app_public.notifications is
  'A notification is for users by id, or for a named audience.';
comment on constraint notifications_unread_seconds_range on app_public.notifications is
  'A push waits 1 second to 4 weeks for being read.';
-- What was under way goes on: the sweep gives these batches their jobs.
insert into app_private.delivery_batches (notification_id, month, device_type, delivery_ids)
select d.notification_id, d.month, d.device_type, array_agg(d.id)
from (
  select
    o.notification_id, o.month, o.device_type, o.id,
    (row_number() over (partition by o.notification_id, o.device_type order by o.id) - 1) / 500
  from app_public.notification_deliveries o
  where o.status in ('queued', 'sending', 'retrying')
) as d(notification_id, month, device_type, id, part)
group by d.notification_id, d.month, d.device_type, d.part;

create or replace function app_private.audience_query(audience text) returns text
language sql stable
as $$
  select format('select user_id from app_audiences.%I', c.relname)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'user_id' and a.atttypid = 'int'::regtype
  where c.relnamespace = 'app_audiences'::regnamespace
    and c.relkind in ('v', 'm', 'r')
    and c.relname = audience
  union all
  select format('select f.user_id from app_audiences.%I() as f(user_id)', p.proname)
  from pg_proc p
  where p.pronamespace = 'app_audiences'::regnamespace
    and p.pronargs = 0
    and p.proretset
    and p.prorettype = 'int'::regtype
    and p.proname = audience
  limit 1;
$$;
comment on function app_private.audience_query(text) is
  'The query of a named audience; null where there is none. The name is looked up, never run.';

create or replace function app_private.write_audience(n app_public.notifications) returns void
language plpgsql volatile
as $$
declare
  v_query text = case
    when n.audience is null then 'select unnest($2.users)'
    else app_private.audience_query(n.audience)
  end;
begin
  if v_query is null then
    raise exception 'The audience app_audiences.% of notification % is gone.', n.audience, n.id;
  end if;
  execute format(
    $query$
      insert into app_private.notification_audience (notification_id, user_id, due_at)
      select
        $1,
        u.id,
        $3 at time zone u.timezone
      from (select distinct a.id from (%s) as a(id)) as a
      join app_public.users u on u.id = a.id and u.deleted_at is null
      on conflict do nothing
    $query$,
    v_query
  )
  using n.id, n, n.send_at_local;
end;
$$;
comment on function app_private.write_audience(app_public.notifications) is
  'Writes down who is to get a notification, and when: in the database, whatever their number.';

create or replace function app_private.schedule_fan_out(notification_id int, run_at timestamptz)
returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'fan_out_notification',
    json_build_object('notificationId', schedule_fan_out.notification_id),
    run_at := schedule_fan_out.run_at,
    job_key := 'fan_out_notification:' || schedule_fan_out.notification_id,
    max_attempts := 1000
  );
end;
$$;
comment on function app_private.schedule_fan_out(int, timestamptz) is
  'Sees to it that a worker fans a notification out at run_at, instead of at any other time.';

create or replace function app_private.take_due_users(n app_public.notifications, chunk_size int)
returns int[]
language plpgsql volatile
as $$
declare
  v_users int[];
begin
  if n.audience is null and n.send_at_local is null then
    -- A list is its own memory of who is still to come: nothing is written down for each.
    return n.users[n.fanned_out_users + 1 : n.fanned_out_users + chunk_size];
  end if;
  if not n.is_audience_known then
    perform app_private.write_audience(n);
  end if;
  -- Without an order the first ones that are found; by local time those that have waited longest.
  with due_user as (
    delete from app_private.notification_audience a
    where a.notification_id = n.id
      and a.user_id in (
        (
          select o.user_id from app_private.notification_audience o
          where o.notification_id = n.id and n.send_at_local is null
          limit chunk_size
        )
        union all
        (
          select o.user_id from app_private.notification_audience o
          where o.notification_id = n.id and n.send_at_local is not null and o.due_at <= now()
          order by o.due_at
          limit chunk_size
        )
      )
    returning a.user_id
  )
  select array_agg(u.user_id order by u.user_id) into v_users from due_user u;
  return v_users;
end;
$$;
comment on function app_private.take_due_users(app_public.notifications, int) is
  'The next users who are due, at most chunk_size; they are not given again where the transaction commits.';

create or replace function app_private.next_fan_out_at(n app_public.notifications) returns timestamptz
language sql stable
as $$
  select case
    when n.audience is null and n.send_at_local is null then
      case when n.fanned_out_users < cardinality(n.users) then now() end
    when n.send_at_local is null then
      case
        when exists (select from app_private.notification_audience a where a.notification_id = n.id)
          then now()
      end
    else (
      select min(a.due_at) from app_private.notification_audience a where a.notification_id = n.id
    )
  end;
$$;
comment on function app_private.next_fan_out_at(app_public.notifications) is
  'When the next of its users is due; null where there is none any more.';

create or replace function app_private.fan_out_notification(
  notification_id int, chunk_size int, out has_more boolean
)
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
  v_notification app_public.notifications;
  v_users int[];
  v_delivery_ids bigint[];
  v_device_types app_public.device_type[];
  v_next timestamptz;
begin
  has_more := false;
  -- One at a time; the notification's own row stays free for those who settle it.
  perform pg_advisory_xact_lock(hashtextextended('fan out ' || fan_out_notification.notification_id, 0));
  select * into v_notification
  from app_public.notifications n where n.id = fan_out_notification.notification_id;
  if not found or v_notification.status not in ('scheduled', 'sending') then
    return;
  end if;
  if v_notification.ledger_month is null then
    v_notification.ledger_month := date_trunc('month', now());
    perform app_private.ensure_ledger_month(v_notification.ledger_month);
  end if;
  v_users := app_private.take_due_users(v_notification, chunk_size);

  if v_users is not null then
    -- Fan-outs of a notification take turns: what is there already can be looked up, which is a third cheaper
    -- than `on conflict`.
    insert into app_public.notification_recipients (notification_id, user_id, read_at)
    select v_notification.id, u.id, case when v_notification.is_silent then now() end
    from app_public.users u
    where u.id = any (v_users)
      and u.deleted_at is null
      and u.id not in (
        select r.user_id from app_public.notification_recipients r
        where r.notification_id = v_notification.id and r.user_id = any (v_users)
      );

    with
      -- Devices of a closed account are disabled.
      device as materialized (
        select d.id, d.user_id, d.device_type
        from app_public.device_tokens d
        where d.user_id = any (v_users) and d.disabled_at is null
      ),
      new_delivery as (
        insert into app_public.notification_deliveries (
          month, notification_id, user_id, device_token_id, device_type
        )
        select v_notification.ledger_month, v_notification.id, d.user_id, d.id, d.device_type
        from device d
        -- A phone may have changed hands since an earlier chunk.
        where d.id not in (
          select o.device_token_id from app_public.notification_deliveries o
          where o.month = v_notification.ledger_month
            and o.notification_id = v_notification.id
            and o.device_token_id = any (array(select device.id from device))
        )
        returning id, device_type
      )
    select array_agg(d.id), array_agg(d.device_type) into v_delivery_ids, v_device_types
    from new_delivery d;

    if v_delivery_ids is not null then
      perform app_private.add_batches(
        v_notification.id,
        v_notification.ledger_month,
        v_delivery_ids,
        v_device_types,
        now() + make_interval(secs => coalesce(v_notification.unread_seconds, 0))
      );
    end if;
  end if;

  update app_public.notifications n
  set
    is_audience_known = true,
    ledger_month = v_notification.ledger_month,
    fanned_out_users = least(n.fanned_out_users + chunk_size, cardinality(n.users)),
    status = case
      when n.status = 'scheduled' and v_users is not null then 'sending'
      else n.status
    end
  where n.id = v_notification.id
  returning n.* into v_notification;
  v_next := app_private.next_fan_out_at(v_notification);
  if v_next is null then
    -- For nobody at all it has been sent as well.
    update app_public.notifications n
    set status = 'sending' where n.id = v_notification.id and n.status = 'scheduled';
    perform app_private.settle_notification(v_notification.id);
  elsif v_next <= now() then
    has_more := true;
  else
    perform app_private.schedule_fan_out(v_notification.id, v_next);
  end if;
end;
$$;
comment on function app_private.fan_out_notification(int, int) is
  'Writes recipients, deliveries and batches of the next chunk_size users who are due; true while there are more, else it has seen to what comes later. Safe to run again.';

-- Who moves to another time zone gets a notification at their local time by the clock there.
create or replace function app_private.tg_users__move_due_times() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification_id int;
begin
  for v_notification_id in
    select a.notification_id from app_private.notification_audience a
    where a.user_id = new.id and a.due_at is not null order by a.notification_id
  loop
    -- A fan-out that is under way would set the time of the next one by what it saw before.
    perform pg_advisory_xact_lock(hashtextextended('fan out ' || v_notification_id, 0));
    update app_private.notification_audience a
    set due_at = n.send_at_local at time zone new.timezone
    from app_public.notifications n
    where a.user_id = new.id and a.notification_id = v_notification_id and n.id = a.notification_id;
    perform app_private.schedule_fan_out(
      v_notification_id,
      (
        select min(a.due_at) from app_private.notification_audience a
        where a.notification_id = v_notification_id
      )
    );
  end loop;
  return null;
end;
$$;
comment on function app_private.tg_users__move_due_times() is
  'Trigger: what waits for a local time waits for it in the new time zone.';
create trigger _500_move_due_times
  after update of timezone on app_public.users
  for each row when (old.timezone is distinct from new.timezone)
  execute function app_private.tg_users__move_due_times();
