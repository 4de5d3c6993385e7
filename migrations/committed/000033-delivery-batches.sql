--! Previous: sha1:bb5b3764275970d4a76d00ef8dcbec3894812a8e
--! Hash: sha1:a397e6cd5d644171a40bbd79172f39c18742b6f2
--! Message: delivery batches

-- What is still to be sent: batches of up to 500 deliveries of one notification and platform, each with a
-- job. A delivery that goes on is in exactly one batch; the ledger beside it says how it stands.

create table app_private.delivery_batches (
  id bigint generated always as identity,
  notification_id int not null,
  month date not null,
  device_type app_public.device_type not null,
  delivery_ids bigint[] not null,
  run_at timestamptz not null default now(),
  worker_id uuid,
  claimed_at timestamptz,
  fence int not null default 0,
  answered int not null default 0,
  circuit_breaker_id int,
  created_at timestamptz not null default now(),
  constraint delivery_batches_pkey primary key (id),
  constraint delivery_batches_notification_id_fkey foreign key (notification_id)
    references app_public.notifications on delete cascade,
  constraint delivery_batches_not_empty check (cardinality(delivery_ids) > 0)
);
alter table app_private.delivery_batches enable row level security;
create index delivery_batches_notification_id_idx on app_private.delivery_batches (notification_id);
create index delivery_batches_run_at_idx on app_private.delivery_batches (run_at);
create index delivery_batches_circuit_breaker_id_idx
  on app_private.delivery_batches (circuit_breaker_id);
comment on table app_private.delivery_batches is
  'Deliveries that wait or are being sent, 500 at most each. No policy, no grant: the owner only.';
comment on column app_private.delivery_batches.worker_id is
  'Who is sending it: its lease, which lasts as long as that worker''s heartbeat.';
comment on column app_private.delivery_batches.fence is
  'Counts up with each claim: whoever lost the batch to another cannot write outcomes any more.';
comment on column app_private.delivery_batches.answered is
  'How many of it have an outcome already and are no part of it any more: the others were slower.';
comment on column app_private.delivery_batches.circuit_breaker_id is
  'Set: held until an operator has decided whether these addresses are dead.';

create or replace function app_private.heartbeat(
  worker_id uuid, job_worker_ids text[], batch_ids bigint[]
) returns void
language sql volatile
as $$
  insert into app_private.workers as w (id, job_worker_ids)
  values (heartbeat.worker_id, heartbeat.job_worker_ids)
  on conflict on constraint workers_pkey do update
  set heartbeat_at = now(), job_worker_ids = excluded.job_worker_ids;
  update app_private.delivery_batches b
  set worker_id = null
  where b.worker_id = heartbeat.worker_id
    -- The list may be older than the claims of the last moments.
    and b.claimed_at < now() - interval '20 seconds'
    and b.id <> all (batch_ids);
$$;
comment on function app_private.heartbeat(uuid, text[], bigint[]) is
  'A worker process says that it lives, and which batches it is at: others that were its (an error came between) are free.';

create or replace function app_private.add_batch_job(batch app_private.delivery_batches) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'deliver_pushes',
    json_build_object('batchId', batch.id),
    run_at := batch.run_at,
    -- Many batches wait behind the few of others.
    priority := case when cardinality(batch.delivery_ids) >= 500 then 10 else 0 end,
    job_key := 'deliver_pushes:' || batch.id,
    max_attempts := 1000
  );
end;
$$;
comment on function app_private.add_batch_job(app_private.delivery_batches) is
  'Sees to it that a worker sends a batch at its run_at; the batch has one job, whatever happened before.';

create or replace function app_private.add_batches(
  notification_id int,
  month date,
  delivery_ids bigint[],
  device_types app_public.device_type[],
  run_at timestamptz
) returns void
language sql volatile
as $$
  with added_batch as (
    insert into app_private.delivery_batches (notification_id, month, device_type, delivery_ids, run_at)
    select
      add_batches.notification_id,
      add_batches.month,
      p.device_type,
      array_agg(p.id order by p.id),
      add_batches.run_at
    from (
      select d.id, d.device_type, (row_number() over (partition by d.device_type order by d.id) - 1) / 500
      from unnest(delivery_ids, device_types) as d(id, device_type)
    ) as p(id, device_type, part)
    group by p.device_type, p.part
    returning *
  )
  select app_private.add_batch_job(b) from added_batch b;
$$;
comment on function app_private.add_batches(
  int, date, bigint[], app_public.device_type[], timestamptz
) is 'Queues deliveries of a notification, with the device type of each, in batches of 500 by platform.';

create or replace function app_private.tally(notification_id int) returns app_public.notification_tally
language sql stable
as $$
  select
    (
      select count(*) from app_public.notification_recipients r
      where r.notification_id = tally.notification_id
    )::int,
    count(*)::int,
    (count(*) filter (where d.status in ('queued', 'sending', 'retrying')))::int,
    (count(*) filter (where d.status in ('accepted', 'acknowledged')))::int,
    (count(*) filter (where d.status = 'acknowledged'))::int,
    (count(*) filter (where d.status = 'dead_address'))::int,
    (count(*) filter (where d.status = 'failed'))::int,
    (count(*) filter (where d.status = 'unknown'))::int,
    (count(*) filter (where d.status = 'expired'))::int,
    (count(*) filter (where d.status = 'skipped'))::int,
    (count(*) filter (where d.status = 'canceled'))::int
  from app_public.notification_deliveries d
  where d.notification_id = tally.notification_id;
$$;
comment on function app_private.tally(int) is 'The counts of a notification, over its whole ledger.';

create or replace function app_private.settle_notification(notification_id int) returns void
language plpgsql volatile
as $$
declare
  v_tally app_public.notification_tally;
  v_notification app_public.notifications;
begin
  -- Who ends the last but one waits here for who ends the last: one of them sees that all is done.
  select * into v_notification
  from app_public.notifications n
  where n.id = settle_notification.notification_id and n.status in ('sending', 'canceled')
  for update;
  if not found
    or exists (
      select from app_private.delivery_batches b where b.notification_id = v_notification.id
    )
    or (
      v_notification.status = 'sending'
      and app_private.next_fan_out_at(v_notification) is not null
    )
  then
    return;
  end if;
  v_tally := app_private.tally(settle_notification.notification_id);
  update app_public.notifications n
  set
    status = case
      when n.status = 'canceled' then 'canceled'
      -- What was not wanted any more is nobody's failure.
      when v_tally.deliveries = v_tally.skipped then 'no_devices'
      when v_tally.accepted = v_tally.deliveries - v_tally.skipped then 'sent'
      when v_tally.accepted > 0 then 'partial'
      when v_tally.expired > 0 then 'expired'
      else 'failed'
    end::app_public.notification_status,
    sent_status = v_tally.accepted > 0
  where n.id = settle_notification.notification_id;
end;
$$;
comment on function app_private.settle_notification(int) is
  'Derives the status of a notification from its ledger once nothing of it is to come.';
