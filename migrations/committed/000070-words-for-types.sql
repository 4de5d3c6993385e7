--! Previous: sha1:50fe10869c2c8ddd586bf614678408de93d05b56
--! Hash: sha1:e3397b0cb5be4a66173d1f121d0d9d8e556fa305
--! Message: words for types

-- What the API said nothing about: the fields of types that are no tables.

comment on column app_public.access_rule.table_name is 'Of which table.';
comment on column app_public.access_rule.role is 'anonymous, user or operator.';
comment on column app_public.access_rule.command is 'select, insert, update or delete.';
comment on column app_public.access_rule.is_granted is 'Whether the role may at all.';
comment on column app_public.access_rule.columns is 'Those that may be written, where not all.';
comment on column app_public.access_rule.rule is 'Which rows, in SQL; null for all.';

comment on column app_public.schema_table.name is 'What it is called in SQL.';
comment on column app_public.schema_table.description is 'Its comment, without smart tags.';
comment on column app_public.schema_table.columns is
  'An array of {name, type, isRequired, isKey, references}.';

comment on column app_public.failed_job.id is 'The queue''s number for it.';
comment on column app_public.failed_job.task is 'Which task it runs.';
comment on column app_public.failed_job.attempts is 'How often it was tried.';
comment on column app_public.failed_job.max_attempts is 'How often it is tried at most.';
comment on column app_public.failed_job.last_error is
  'What the last attempt failed with, cut at 2,000 characters.';
comment on column app_public.failed_job.created_at is 'When it was queued.';

comment on column app_public.push_minute.starts_at is 'The minute.';
comment on column app_public.push_minute.waiting is 'Queued, being sent or retried.';
comment on column app_public.push_minute.accepted is
  'FCM took them; with those that the app acknowledged.';
comment on column app_public.push_minute.dead is 'FCM did not know the device.';
comment on column app_public.push_minute.failed is 'Failed, expired, or of unknown outcome.';
comment on column app_public.push_minute.skipped is 'Not wanted, or canceled.';

comment on column app_public.security_event.id is 'Later ones have higher numbers.';
comment on column app_public.security_event.user_id is 'Whose account; null where nobody is known.';
comment on column app_public.security_event.session_id is 'In which session, where in one.';
comment on column app_public.security_event.kind is 'What happened.';
comment on column app_public.security_event.ip_address is 'From where the request came.';
comment on column app_public.security_event.user_agent is
  'What the client called itself, cut at 500 characters.';
comment on column app_public.security_event.created_at is 'When.';

comment on column app_public.notification_tally.recipients is 'Users to whom it goes.';
comment on column app_public.notification_tally.deliveries is 'One for each device.';
comment on column app_public.notification_tally.pending is 'Queued, being sent or retried.';
comment on column app_public.notification_tally.accepted is
  'FCM took them; with those that are acknowledged.';
comment on column app_public.notification_tally.acknowledged is 'The app said that they arrived.';
comment on column app_public.notification_tally.dead_address is 'FCM did not know the device.';
comment on column app_public.notification_tally.failed is 'Refused, or all attempts failed.';
comment on column app_public.notification_tally.expired is 'Not sent before their time was over.';
comment on column app_public.notification_tally.canceled is 'Canceled before they were sent.';
comment on column app_public.notification_tally.skipped is
  'Not wanted, read already, or the device was gone.';
comment on column app_public.notification_tally.unknown is 'They may have been sent.';
