--! Previous: sha1:1e2e73747c842ecf986cc12e5d1ad5ddd863de21
--! Hash: sha1:dbb18d1a53aeb90b292b402ddb54d737acdf9479
--! Message: sweep deliveries

-- What a dead worker left behind: taken up each minute by the task sweep_deliveries.

create or replace function app_private.sweep_deliveries() returns int
language plpgsql volatile
as $$
declare
  v_notification_id int;
  v_count int = 0;
begin
  -- A worker died in mid-batch: nobody knows whether FCM got these.
  with lost_delivery as (
    update app_public.notification_deliveries d
    set
      status = case n.delivery
        when 'at_most_once' then 'unknown'
        else 'retrying'
      end::app_public.delivery_status,
      error_code = 'LEASE_EXPIRED',
      leased_until = null,
      next_attempt_at = now()
    from app_public.notifications n
    where n.id = d.notification_id and d.status = 'sending' and d.leased_until < now()
    returning d.id
  )
  select count(*) into v_count from lost_delivery;

  for v_notification_id in
    select n.id from app_public.notifications n
    where n.status in ('scheduled', 'sending') and n.send_at < now() - interval '1 minute'
  loop
    if exists (
      select from app_public.notifications n
      where n.id = v_notification_id and n.fanned_out_users < cardinality(n.users)
    ) then
      perform graphile_worker.add_job(
        'fan_out_notification',
        json_build_object('notificationId', v_notification_id),
        job_key := 'fan_out_notification:' || v_notification_id
      );
    elsif exists (
      select from app_public.notification_deliveries d
      where d.notification_id = v_notification_id
        and d.status in ('queued', 'retrying') and d.next_attempt_at <= now()
    ) then
      perform app_private.schedule_deliveries(v_notification_id, now());
    else
      perform app_private.settle_notification(v_notification_id);
    end if;
  end loop;
  return v_count;
end;
$$;
comment on function app_private.sweep_deliveries() is
  'Takes up what a dead worker left: leases that ran out, fan-outs and deliveries without a job. Returns how many leases had run out. Each minute.';
