--! Previous: sha1:f75e03c551971d5480309d7afbb62c156cd4e80f
--! Hash: sha1:d2ffbef4a1922e67fc604f84a4f4ad6cb2988e6e
--! Message: lost notifications of a long queue

-- With 60,000 notifications queued, each look for lost ones took half a second, every five: an API read's p99 was twice what it is.
create or replace function app_private.sweep(out dead_workers int, out batches int, out notifications int)
language plpgsql volatile
as $$
declare
  v_worker app_private.workers;
  v_notification_id int;
  v_turn timestamptz;
begin
  dead_workers := 0;
  batches := 0;
  notifications := 0;
  -- One worker at a time is enough.
  if not pg_try_advisory_xact_lock(hashtextextended('sweep', 0)) then
    return;
  end if;
  for v_worker in
    delete from app_private.workers w where not app_private.is_alive(w) returning w.*
  loop
    perform graphile_worker.force_unlock_workers(v_worker.job_worker_ids);
    dead_workers := dead_workers + 1;
  end loop;

  -- A batch whose worker is gone, and whose job may be as well.
  with lost_batch as (
    select b.* from app_private.delivery_batches b
    where b.circuit_breaker_id is null
      and b.run_at < now() - interval '10 seconds'
      and not exists (select from app_private.workers w where w.id = b.worker_id)
      and not exists (
        select from graphile_worker.jobs j
        -- One that is locked was a dead worker's, too: a new one takes its place.
        where j.key = 'deliver_pushes:' || b.id
          and j.locked_at is null
          and j.attempts < j.max_attempts
      )
    limit 1000
  )
  select count(*) into batches
  from (select app_private.add_batch_job(b) from lost_batch b) as added;

  -- Those whose turn is still to come are not lost, nor looked for: of a long queue that would be all of it.
  select j.run_at into v_turn
  from graphile_worker._private_jobs j
  join graphile_worker._private_tasks t on t.id = j.task_id and t.identifier = 'fan_out_notification'
  where j.is_available
  order by j.priority, j.run_at
  limit 1;
  for v_notification_id in
    select n.id from app_public.notifications n
    where n.status in ('scheduled', 'sending')
      and n.send_at < least(now(), v_turn) - interval '10 seconds'
      and not exists (
        select from app_private.delivery_batches b where b.notification_id = n.id
      )
      and not exists (
        select from graphile_worker.jobs j
        where j.key = 'fan_out_notification:' || n.id and j.attempts < j.max_attempts
      )
    union all
    -- One whose audience fails is tried again after hours: it expires on time all the same.
    select n.id from app_public.notifications n
    where n.status = 'scheduled'
      and n.expires_at <= now()
      and exists (
        select from graphile_worker.jobs j
        where j.key = 'fan_out_notification:' || n.id and j.run_at > now() and j.locked_at is null
      )
    limit 1000
  loop
    perform app_private.schedule_fan_out(v_notification_id, now());
    notifications := notifications + 1;
  end loop;

  -- Held for an operator's decision until it was too late.
  with expired_batch as (
    select b.* from app_private.delivery_batches b
    where b.circuit_breaker_id is not null and b.run_at <= now()
    limit 1000
  )
  select batches + count(*) into batches
  from (select app_private.add_batch_job(b) from expired_batch b) as added;
end;
$$;
