--! Previous: sha1:c962fe7840bcf3f370101227703aa9c7df1e821c
--! Hash: sha1:b520af59ef684ab0aa7b1022865ee29c6c6ebc8a
--! Message: notifications

-- What was to be said, to whom it was said, and what became of it on each phone.

create type app_public.notification_status as enum (
  'scheduled', 'sending', 'sent', 'partial', 'failed', 'no_devices', 'canceled', 'expired'
);
comment on type app_public.notification_status is
  'scheduled and sending go on; the others are final. partial: accepted for some devices only.';
create type app_public.notification_priority as enum ('high', 'normal');
comment on type app_public.notification_priority is
  'high wakes the device (android high, apns-priority 10), normal spares its battery (normal, 5).';
create type app_public.delivery_guarantee as enum ('at_least_once', 'at_most_once');
comment on type app_public.delivery_guarantee is
  'What happens to a delivery whose outcome nobody knows: sent again, or given up as unknown.';
create type app_public.delivery_status as enum (
  'queued', 'sending', 'accepted', 'acknowledged', 'retrying', 'dead_address', 'failed', 'unknown',
  'expired', 'skipped', 'canceled'
);
comment on type app_public.delivery_status is
  'accepted: FCM took it; acknowledged: the app said that it arrived. queued, sending and retrying go on.';

create table app_public.notifications (
  id int generated always as identity,
  users int[] not null,
  event text not null,
  title text,
  message text not null,
  data jsonb not null default '{}',
  priority app_public.notification_priority not null default 'high',
  collapse_key text,
  delivery app_public.delivery_guarantee not null default 'at_least_once',
  send_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '4 weeks',
  status app_public.notification_status not null default 'scheduled',
  sent_status boolean not null default false,
  fanned_out_users int not null default 0,
  created_at timestamptz not null default now(),
  constraint notifications_pkey primary key (id),
  constraint notifications_users_present check (cardinality(users) > 0),
  constraint notifications_event_format check (event ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint notifications_data_is_object check (jsonb_typeof(data) = 'object'),
  constraint notifications_collapse_key_length check (octet_length(collapse_key) between 1 and 64),
  constraint notifications_expires_after_sending check (expires_at > send_at),
  constraint notifications_expires_within_four_weeks
    check (expires_at <= send_at + interval '4 weeks')
);
alter table app_public.notifications enable row level security;
create index notifications_created_at_idx on app_public.notifications (created_at);
create index notifications_event_idx on app_public.notifications (event);
create index notifications_status_idx on app_public.notifications (status)
  where status in ('scheduled', 'sending');

create table app_public.notification_recipients (
  notification_id int not null,
  user_id int not null,
  created_at timestamptz not null default now(),
  read_at timestamptz,
  constraint notification_recipients_pkey primary key (notification_id, user_id),
  constraint notification_recipients_notification_id_fkey foreign key (notification_id)
    references app_public.notifications on delete cascade,
  constraint notification_recipients_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade
);
alter table app_public.notification_recipients enable row level security;
create index notification_recipients_user_id_idx
  on app_public.notification_recipients (user_id, notification_id);
create index notification_recipients_unread_idx
  on app_public.notification_recipients (user_id) where read_at is null;

create table app_public.notification_deliveries (
  id bigint generated always as identity,
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
  next_attempt_at timestamptz not null default now(),
  leased_until timestamptz,
  constraint notification_deliveries_pkey primary key (id),
  constraint notification_deliveries_once_per_device unique (notification_id, device_token_id),
  constraint notification_deliveries_notification_id_fkey foreign key (notification_id)
    references app_public.notifications on delete cascade,
  constraint notification_deliveries_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint notification_deliveries_device_token_id_fkey foreign key (device_token_id)
    references app_public.device_tokens on delete cascade,
  constraint notification_deliveries_leased_while_sending
    check ((status = 'sending') = (leased_until is not null))
);
alter table app_public.notification_deliveries enable row level security;
create index notification_deliveries_user_id_idx on app_public.notification_deliveries (user_id);
create index notification_deliveries_device_token_id_idx
  on app_public.notification_deliveries (device_token_id);
create index notification_deliveries_message_id_idx
  on app_public.notification_deliveries (message_id);
-- What is still to be done, and only that: it stays small whatever the ledger grows to.
create index notification_deliveries_due_idx
  on app_public.notification_deliveries (notification_id, next_attempt_at)
  where status in ('queued', 'retrying');
create index notification_deliveries_leased_idx
  on app_public.notification_deliveries (leased_until) where status = 'sending';

create policy select_own on app_public.notification_recipients for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.notification_recipients for select to :DATABASE_OPERATOR
  using (true);
create policy select_own on app_public.notification_deliveries for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.notification_deliveries for select to :DATABASE_OPERATOR
  using (true);
create policy select_received on app_public.notifications for select to :DATABASE_USER
  using (
    exists (
      select from app_public.notification_recipients r
      where r.notification_id = notifications.id
        and r.user_id = (select app_public.current_user_id())
    )
  );
create policy select_operator on app_public.notifications for select to :DATABASE_OPERATOR
  using (true);

grant select on
  app_public.notifications, app_public.notification_recipients, app_public.notification_deliveries
to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because notify() checks what is sent, and because
-- the ledger is written by what happened alone.

comment on table app_public.notifications is
  'Something that was said to users. Users see what they received, operators all.';
comment on column app_public.notifications.users is E'@behavior -*\nThe audience; shown by users().';
comment on column app_public.notifications.event is 'What happened, such as order.shipped: the key of preferences and of the app''s handling.';
comment on column app_public.notifications.message is 'The text of the push.';
comment on column app_public.notifications.data is 'Key-value pairs for the app: strings only, as FCM wants it.';
comment on column app_public.notifications.collapse_key is
  'A later push with the same key replaces an undelivered earlier one (FCM collapse_key, apns-collapse-id, Topic).';
comment on column app_public.notifications.delivery is 'What happens where an outcome stays unknown.';
comment on column app_public.notifications.send_at is 'Not before.';
comment on column app_public.notifications.expires_at is 'Not after: retries end here, and FCM drops it then.';
comment on column app_public.notifications.sent_status is
  'True once every delivery is final and at least one was accepted.';
comment on column app_public.notifications.fanned_out_users is
  E'@behavior -*\nHow many of users have their recipients and deliveries: where a new attempt goes on.';
comment on constraint notifications_users_present on app_public.notifications is 'A notification needs a user.';
comment on constraint notifications_event_format on app_public.notifications is
  'An event is written like order.shipped: lower-case letters, digits and . _ : -, at most 100 characters.';
comment on constraint notifications_data_is_object on app_public.notifications is 'Data is a JSON object of strings.';
comment on constraint notifications_collapse_key_length on app_public.notifications is
  'A collapse key has 1 to 64 bytes.';
comment on constraint notifications_expires_after_sending on app_public.notifications is
  'A notification cannot expire before it is sent.';
comment on constraint notifications_expires_within_four_weeks on app_public.notifications is
  'A notification expires at most four weeks after it is sent.';
comment on table app_public.notification_recipients is
  E'@behavior -*\nThe inbox: who received what, and has read it. A user sees their own, an operator all.';
comment on table app_public.notification_deliveries is
  'The ledger: one row for each notification and device. A user sees their own, an operator all.';
comment on constraint notification_deliveries_notification_id_fkey on app_public.notification_deliveries is
  E'@foreignFieldName deliveries\nThe ledger of a notification.';
comment on column app_public.notification_deliveries.attempts is 'How often it was handed to FCM.';
comment on column app_public.notification_deliveries.message_id is 'FCM''s name of the message, once accepted.';
comment on column app_public.notification_deliveries.error_code is 'FCM''s error code of the last attempt that failed.';
comment on column app_public.notification_deliveries.sent_at is 'When FCM accepted it.';
comment on column app_public.notification_deliveries.acknowledged_at is 'When the app said that it had arrived.';
comment on column app_public.notification_deliveries.next_attempt_at is 'Not tried again before.';
comment on column app_public.notification_deliveries.leased_until is
  E'@behavior -*\nWhile sending: when another worker may take it over.';

-- An inbox that knows at once: one event for the recipients of a statement.
create or replace function app_private.tg_notification_recipients__publish() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_hidden.publish(
    'notification_received', array_agg(r.user_id), jsonb_build_object('id', r.notification_id)
  )
  from inserted r group by r.notification_id;
  return null;
end;
$$;
comment on function app_private.tg_notification_recipients__publish() is
  'Trigger: tells the subscriptions of the recipients.';
create trigger _500_publish
  after insert on app_public.notification_recipients
  referencing new table as inserted
  for each statement execute function app_private.tg_notification_recipients__publish();
