--! Previous: sha1:b768670b9b5c7e5dc9b9166cfd9bc6fdd39bcb8f
--! Hash: sha1:e6d6b9bc7b07fee82529a6ae0853993365d7d880
--! Message: rules

-- BREAKING: deliveries are filtered and ordered by indexed columns only, as everything else is.
-- What the rules of src/rules found here: mended, or allowed with a reason (docs/rules/README.md).

-- The ledger is partitioned, where PostGraphile takes no notice of indexes: it offered them all.
comment on column app_public.notification_deliveries.status is
  E'@behavior -filterBy -orderBy\nqueued, sending and retrying go on; the others are final, but accepted may become acknowledged.';
comment on column app_public.notification_deliveries.attempts is
  E'@behavior -filterBy -orderBy\nHow often it was handed to FCM.';
comment on column app_public.notification_deliveries.message_id is
  E'@behavior -filterBy -orderBy\nFCM''s name of the message, once accepted.';
comment on column app_public.notification_deliveries.error_code is
  E'@behavior -filterBy -orderBy\nFCM''s error code of the last attempt that failed; or why it was skipped (DEVICE_GONE, PREFERENCE, READ) or waits (QUIET_HOURS).';
comment on column app_public.notification_deliveries.created_at is
  E'@behavior -filterBy -orderBy\nWhen it was written down: the sending began.';
comment on column app_public.notification_deliveries.sent_at is
  E'@behavior -filterBy -orderBy\nWhen FCM accepted it.';
comment on column app_public.notification_deliveries.acknowledged_at is
  E'@behavior -filterBy -orderBy\nWhen the app said that it had arrived.';
comment on column app_public.notification_deliveries.next_attempt_at is
  E'@behavior -filterBy -orderBy\nWhile retrying or held back: not before. Infinity: an operator has to decide.';
comment on column app_public.notification_deliveries.device_type is
  E'@behavior -filterBy -orderBy\nWhat kind of device it is.';

-- Names that sound like secrets.
comment on column app_public.device_tokens.token is
  E'@allow exposed_secret_column because it is an address, useless without our credentials at FCM, and hidden from the API\n@behavior -*\nFCM registration token or installation id: an address, shown to nobody.';
comment on column app_public.notifications.collapse_key is
  E'@allow exposed_secret_column because it is FCM''s word for what a later push replaces, and its recipients know it\nA later push with the same key replaces an undelivered earlier one (FCM collapse_key, apns-collapse-id, Topic).';

-- A wall clock's time on purpose.
comment on column app_public.notifications.send_at_local is
  E'@allow timestamp_without_zone because it is what the clock shows, in each recipient''s own time zone\nNot before this time by the clock of each recipient''s own time zone.';

-- They read only, and call nothing that does more.
alter function app_public.security_events() parallel safe;
alter function app_public.users_security_events(app_public.users) parallel safe;

-- Four effects of one moment had one number; they keep their order.
do $$
declare
  v_name record;
begin
  for v_name in
    select n.old, n.new
    from (
      values
        ('_500_deleted', '_510_deleted'),
        ('_500_forget_push_settings', '_520_forget_push_settings'),
        ('_500_move_due_times', '_530_move_due_times')
    ) as n(old, new)
    join pg_catalog.pg_trigger t on t.tgname = n.old
      and t.tgrelid = 'app_public.users'::regclass
  loop
    execute format('alter trigger %I on app_public.users rename to %I', v_name.old, v_name.new);
  end loop;
end;
$$;

-- Keys without user_id: what would have to be decided before these tables are sharded by it.
comment on table app_private.security_events is
  E'@allow unshardable_table because operators read it across all users, and events of nobody have no user_id\nThe security log, 90 days. No policy, no grant: read by users_security_events() and security_events().';
comment on table app_public.sessions is
  E'@allow unshardable_table because a refresh token knows its session by id alone\nOne log-in on one device. A user sees their live ones, an operator all.';
comment on table app_public.items is
  E'@allow unshardable_table because item(id) is the API''s look-up; ids come from one sequence, so that (user_id, id) can take its place\n@live\nSomething that a user keeps. Only its owner sees it.';
comment on table app_public.device_tokens is
  E'@allow unshardable_table because a token is one device''s, whoever is logged in there: it has to be unique among all users\nA phone or browser that gets pushes. A user sees their live ones, an operator all.';
comment on table app_public.oauth2_credentials is
  E'@allow unshardable_table because an identity (provider, subject) is one person''s: it has to be unique among all users\nAn account elsewhere with which this user logs in. A user sees their own, an operator all.';
comment on table app_public.notification_deliveries is
  E'@allow unshardable_table because the fan-out of a notification writes and counts for all its users at once, by notification and month\n@foreignKey (notification_id) references app_public.notifications (id)|@foreignFieldName deliveries\n@foreignKey (user_id) references app_public.users (id)\n@foreignKey (device_token_id) references app_public.device_tokens (id)|@behavior -manyRelation:resource:connection -manyRelation:resource:list\n@behavior -single\nThe ledger: one row for each notification and device. A user sees their own, an operator all.';

-- What said nothing of itself in the API.
comment on column app_public.users.first_name is 'What this person is called.';
comment on column app_public.users.last_name is 'Their family name, where they gave one.';
comment on column app_public.users.created_at is 'When they signed up.';
comment on column app_public.users.last_logged_in is 'When they last logged in; null before the first time.';
comment on column app_public.users.is_deleted is 'True once the account was closed.';

comment on column app_public.sessions.user_id is 'Who is logged in.';
comment on column app_public.sessions.created_at is 'When they logged in.';

comment on column app_public.items.title is 'Its name, in the owner''s words.';
comment on column app_public.items.description is 'More about it, where the owner said more.';
comment on column app_public.items.created_at is 'When it was created.';
comment on column app_public.items.updated_at is 'When it last changed; its versions are in this order.';

comment on column app_public.device_tokens.user_id is 'Who gets pushes there.';
comment on column app_public.device_tokens.kind is 'What FCM knows the device by.';
comment on column app_public.device_tokens.device_type is 'What kind of device it is.';
comment on column app_public.device_tokens.created_at is 'When it was first registered.';
comment on column app_public.device_tokens.updated_at is 'When anything about it last changed.';
comment on column app_public.device_tokens.disabled_reason is 'Why nothing is sent there any more.';

comment on column app_public.oauth2_credentials.user_id is 'Who logs in with it.';
comment on column app_public.oauth2_credentials.provider is 'Who vouches for them.';
comment on column app_public.oauth2_credentials.created_at is 'When it was linked.';
comment on column app_public.oauth2_credentials.updated_at is 'When anything about it last changed.';

comment on column app_public.notifications.title is 'The title of the push; null where there is only text.';
comment on column app_public.notifications.priority is 'Whether the push may wake a sleeping device.';
comment on column app_public.notifications.status is 'How far its sending is.';
comment on column app_public.notifications.created_at is 'When it was said.';

comment on column app_public.notification_recipients.notification_id is 'What was received.';
comment on column app_public.notification_recipients.user_id is 'Who received it.';
comment on column app_public.notification_recipients.created_at is 'When it came into the inbox.';
comment on column app_public.notification_recipients.read_at is 'When they read it; null until then.';

comment on column app_public.notification_deliveries.notification_id is 'What is delivered.';
comment on column app_public.notification_deliveries.user_id is 'To whom.';
comment on column app_public.notification_deliveries.device_token_id is 'To which of their devices.';

comment on column app_public.notification_events.event is 'Its name, such as order.shipped.';
comment on column app_public.notification_events.created_at is 'Since when it is known.';

comment on column app_public.notification_preferences.user_id is 'Whose preference it is.';
comment on column app_public.notification_preferences.event is 'The event that it is about.';
comment on column app_public.notification_preferences.is_push_enabled is 'False: they want no pushes of it.';
comment on column app_public.notification_preferences.updated_at is 'When they last said so.';

comment on column app_public.quiet_hours.user_id is 'Whose quiet hours these are.';
comment on column app_public.quiet_hours.starts is 'From when on nothing is pushed, by the clock of their time zone.';
comment on column app_public.quiet_hours.ends is 'Until when nothing is pushed; what waited comes then.';
comment on column app_public.quiet_hours.updated_at is 'When they last set them.';

comment on column app_public.push_pauses.paused_until is 'Nothing is sent before.';
comment on column app_public.push_pauses.created_at is 'When FCM said so.';

comment on column app_public.circuit_breakers.device_type is 'The platform of the addresses.';
comment on column app_public.circuit_breakers.created_at is 'When so many addresses seemed dead.';
comment on column app_public.circuit_breakers.decided_at is 'When an operator decided; null until then.';
