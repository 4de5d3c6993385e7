--! Previous: sha1:9b09f6c496101267db94f8e0e7b31c2e58ec8e50
--! Hash: sha1:6fcb2a972d16556c9358db225a6383908c088597
--! Message: upkeep

-- What keeps sending going whatever happened to a worker, and the ledger from growing for ever.

drop function app_private.sweep_deliveries();

create or replace function app_private.sweep(out dead_workers int, out batches int, out notifications int)
language plpgsql volatile
as $$
declare
  v_worker app_private.workers;
  v_notification_id int;
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

  for v_notification_id in
    select n.id from app_public.notifications n
    where n.status in ('scheduled', 'sending')
      and n.send_at < now() - interval '10 seconds'
      and not exists (
        select from app_private.delivery_batches b where b.notification_id = n.id
      )
      and not exists (
        select from graphile_worker.jobs j
        where j.key = 'fan_out_notification:' || n.id and j.attempts < j.max_attempts
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
comment on function app_private.sweep() is
  'Takes up what dead workers left: their jobs are unlocked, batches and fan-outs without a job get one. Each worker, each 5 seconds. Returns how many of each.';

create or replace function app_private.ledger_retention() returns interval
language sql immutable parallel safe
as $$
  select interval '13 months';
$$;
comment on function app_private.ledger_retention() is
  'How long deliveries are kept; replace this function in a migration of yours to change it.';

create or replace function app_private.keep_ledger() returns int
language plpgsql volatile
as $$
declare
  v_partition record;
  v_dropped int = 0;
begin
  perform app_private.ensure_ledger_month(date_trunc('month', now() + interval '1 month')::date);
  -- A reader who is at it is not waited for long: tomorrow is another day.
  perform set_config('lock_timeout', '2s', true);
  for v_partition in
    select c.oid::regclass as name, to_date(right(c.relname, 7), 'YYYY_MM') as month
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'app_public.notification_deliveries'::regclass
      and to_date(right(c.relname, 7), 'YYYY_MM')
        < date_trunc('month', now() - app_private.ledger_retention())
    order by 2
  loop
    -- Counts outlive the rows that they count.
    update app_public.notifications n
    set tally = app_private.tally(n.id)
    where n.ledger_month = v_partition.month and n.tally is null;
    execute format('alter table app_public.notification_deliveries detach partition %s', v_partition.name);
    execute format('drop table %s', v_partition.name);
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end;
$$;
comment on function app_private.keep_ledger() is
  'Makes the ledger''s partition of next month and drops those that are older than ledger_retention(), their counts kept with the notifications. Returns how many were dropped. Each day.';

create or replace function app_private.disable_stale_devices(batch_size int) returns int
language plpgsql volatile
as $$
declare
  v_count int;
begin
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'stale'
  where d.id in (
    select o.id from app_public.device_tokens o
    where o.disabled_at is null and o.last_seen_at < now() - interval '270 days'
    limit batch_size
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function app_private.disable_stale_devices(int) is
  'Disables devices that have not registered for 270 days, FCM''s measure of stale; they come back by registering. At most batch_size; 0 means done.';
