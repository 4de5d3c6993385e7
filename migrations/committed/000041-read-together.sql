--! Previous: sha1:f366b136f8f7c753a61d5bbcfae7f69c8b75f74c
--! Hash: sha1:710c64be6145e67dcd8481e99c3dbc3ee0eea785
--! Message: read together

-- What is read on one device is read on all: the others are told.

create or replace function app_private.tg_notification_recipients__publish_read() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_hidden.publish(
    'notification_read', array_agg(r.user_id), jsonb_build_object('id', r.notification_id)
  )
  from updated r
  join before b on b.notification_id = r.notification_id and b.user_id = r.user_id
  where b.read_at is null and r.read_at is not null
  group by r.notification_id;
  return null;
end;
$$;
comment on function app_private.tg_notification_recipients__publish_read() is
  'Trigger: tells the subscriptions of who has read something.';
create trigger _500_publish_read
  after update on app_public.notification_recipients
  referencing old table as before new table as updated
  for each statement execute function app_private.tg_notification_recipients__publish_read();
