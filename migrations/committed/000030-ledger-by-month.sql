--! Previous: sha1:54e189453801596afde92029c8673aca9c1095d9
--! Hash: sha1:9091a5f93139ed652117d45d56c221378e43c9a1
--! Message: ledger by month

-- The ledger in partitions by month, so that old months are dropped, not deleted row by row. Its statuses
-- are in no index, so that writing an outcome touches no index (HOT); what is to be sent is kept elsewhere
-- (delivery_batches). No foreign keys: fan-out alone writes here, and a log outlives what it tells of.

alter table app_public.notification_deliveries rename to notification_deliveries_before;
alter table app_public.notification_deliveries_before drop constraint notification_deliveries_pkey;
alter table app_public.notification_deliveries_before
  drop constraint notification_deliveries_once_per_device;
drop index app_public.notification_deliveries_user_id_idx;

create table app_public.notification_deliveries (
  id bigint generated always as identity,
  month date not null,
  notification_id int not null,
  user_id int not null,
  device_token_id int not null,
  device_type app_public.device_type not null,
  status app_public.delivery_status not null default 'queued',
  attempts int not null default 0,
  message_id text,
  error_code text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  acknowledged_at timestamptz,
  next_attempt_at timestamptz,
  constraint notification_deliveries_pkey primary key (id, month),
  -- Once for each notification and device: the month is the same for all deliveries of a notification.
  constraint notification_deliveries_once_per_device unique (notification_id, device_token_id, month)
) partition by range (month);

alter table app_public.notification_deliveries enable row level security;
create index notification_deliveries_user_id_idx
  on app_public.notification_deliveries (user_id, notification_id);

create policy select_own on app_public.notification_deliveries for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.notification_deliveries for select to :DATABASE_OPERATOR
  using (true);

grant select on app_public.notification_deliveries to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because the ledger is written by what happened alone.

comment on table app_public.notification_deliveries is
  E'@foreignKey (notification_id) references app_public.notifications (id)|@foreignFieldName deliveries\n@foreignKey (user_id) references app_public.users (id)\n@foreignKey (device_token_id) references app_public.device_tokens (id)|@behavior -manyRelation:resource:connection -manyRelation:resource:list\n@behavior -single\nThe ledger: one row for each notification and device. A user sees their own, an operator all.';
comment on column app_public.notification_deliveries.month is
  E'@behavior -*\nThe first day of the month in which the notification''s sending began: its partition.';
comment on column app_public.notification_deliveries.status is
  'queued, sending and retrying go on; the others are final, but accepted may become acknowledged.';
comment on column app_public.notification_deliveries.attempts is 'How often it was handed to FCM.';
comment on column app_public.notification_deliveries.message_id is 'FCM''s name of the message, once accepted.';
comment on column app_public.notification_deliveries.error_code is
  'FCM''s error code of the last attempt that failed; or why it was skipped (DEVICE_GONE, PREFERENCE, READ) or waits (QUIET_HOURS).';
comment on column app_public.notification_deliveries.sent_at is 'When FCM accepted it.';
comment on column app_public.notification_deliveries.acknowledged_at is 'When the app said that it had arrived.';
comment on column app_public.notification_deliveries.next_attempt_at is
  'While retrying or held back: not before. Infinity: an operator has to decide.';

create or replace function app_private.ensure_ledger_month(month date) returns void
language plpgsql volatile
as $$
declare
  v_partition text = 'notification_deliveries_' || to_char(month, 'YYYY_MM');
begin
  if to_regclass('app_private.' || v_partition) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('ledger partitions', 0));
  -- By a query: to_regclass() remembers that it was not there a moment ago.
  if exists (
    select from pg_class c
    where c.relnamespace = 'app_private'::regnamespace and c.relname = v_partition
  ) then
    return;
  end if;
  -- Made apart and then attached: readers of the ledger are not locked out.
  execute format(
    'create table app_private.%I (like app_public.notification_deliveries including defaults including constraints)
     with (fillfactor = 70)',
    v_partition
  );
  execute format('alter table app_private.%I enable row level security', v_partition);
  execute format('comment on table app_private.%I is %L', v_partition, 'The ledger of a month.');
  execute format(
    'alter table app_public.notification_deliveries attach partition app_private.%I for values from (%L) to (%L)',
    v_partition,
    month,
    month + interval '1 month'
  );
end;
$$;
comment on function app_private.ensure_ledger_month(date) is
  'Makes the partition of a month (its first day), where it is missing.';

do $$
declare
  v_month date;
begin
  for v_month in
    select distinct date_trunc('month', created_at)::date from app_public.notification_deliveries_before
    union select date_trunc('month', now())::date
  loop
    perform app_private.ensure_ledger_month(v_month);
  end loop;
end;
$$;

alter table app_public.notifications add column ledger_month date;
comment on column app_public.notifications.ledger_month is
  E'@behavior -*\nThe month of its deliveries, once its sending has begun.';
update app_public.notifications n
set ledger_month = date_trunc('month', first.created_at)
from (
  select notification_id, min(created_at) as created_at
  from app_public.notification_deliveries_before group by notification_id
) first
where first.notification_id = n.id;

insert into app_public.notification_deliveries (
  id, month, notification_id, user_id, device_token_id, device_type, status, attempts, message_id,
  error_code, created_at, sent_at, acknowledged_at, next_attempt_at
)
overriding system value
select
  d.id, n.ledger_month, d.notification_id, d.user_id, d.device_token_id, d.device_type, d.status,
  d.attempts, d.message_id, d.error_code, d.created_at, d.sent_at, d.acknowledged_at, d.next_attempt_at
from app_public.notification_deliveries_before d
join app_public.notifications n on n.id = d.notification_id;
select setval(
  pg_get_serial_sequence('app_public.notification_deliveries', 'id'),
  coalesce((select max(id) + 1 from app_public.notification_deliveries), 1),
  false
);

drop function app_public.acknowledge_delivery(text, boolean);
drop table app_public.notification_deliveries_before;

create or replace function app_public.acknowledge_delivery(message_id text, opened boolean default false)
returns app_public.notification_deliveries
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_delivery app_public.notification_deliveries;
begin
  -- By the index on the user: an index on message ids would cost every delivery for the few that ask.
  update app_public.notification_deliveries d
  set
    status = 'acknowledged',
    acknowledged_at = coalesce(d.acknowledged_at, now())
  where d.user_id = app_public.current_user_id()
    -- As FCM gave it, or its last part, which is what a device's SDK shows.
    and acknowledge_delivery.message_id in (d.message_id, substring(d.message_id from '[^/]*$'))
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
grant execute on function app_public.acknowledge_delivery(text, boolean) to :DATABASE_USER;
