--! Previous: sha1:ab96886f7db323388b64e62f8d1313dba79d3b5b
--! Hash: sha1:1cd24e97201e31c0d58101d0a631bff95fd923d8
--! Message: short waits

-- Three hundred that wait a quarter of a second each, two at a time, were half a minute for whoever came after them.
alter function app_private.settle_notification(int) set lock_timeout = '100ms';
create or replace function app_private.begin_fan_out(notification_id int) returns void
language plpgsql volatile
set lock_timeout = '50ms'
as $$
declare
  v_notification app_public.notifications;
begin
  select * into v_notification
  from app_public.notifications n where n.id = begin_fan_out.notification_id
  for no key update;
  if v_notification.status = 'canceled' then
    perform app_private.settle_notification(v_notification.id);
  elsif v_notification.status = 'scheduled'
    and v_notification.send_at_local is not null
    and not v_notification.is_audience_known
  then
    if not pg_try_advisory_xact_lock(hashtextextended('local times', 0)) then
      raise exception 'Somebody is moving to another time zone.' using errcode = 'lock_not_available';
    end if;
  end if;
end;
$$;
