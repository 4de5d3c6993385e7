--! Previous: sha1:5b60e36b29bddc8e3616bbd31233ee41db35a9bf
--! Hash: sha1:c8d38f2a68438a7df53420d3219d8170acf28d92
--! Message: long queues

-- A worker has two pools, one for pushes and one for all else, and a long queue of the one's jobs must cost the other
-- nothing: graphile-worker walks the queue in its order until it finds a job of its own tasks.

-- graphile-worker's own index has no task in it, so that each job of another task is read from the table.
create index if not exists _private_jobs_by_task_idx
  on graphile_worker._private_jobs (priority, run_at, task_id)
  where is_available;

create or replace function app_private.push_priority(deliveries int) returns int
language sql immutable parallel safe
as $$
  -- Ahead of all else in the queue's order. Many batches wait behind the few of others.
  select case when deliveries >= 500 then -10 else -20 end;
$$;
comment on function app_private.push_priority(int) is
  'The priority of the job of a batch with so many deliveries: less is sooner, and 0 is that of most tasks.';

create or replace function app_private.add_batch_job(batch app_private.delivery_batches) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'deliver_pushes',
    json_build_object('batchId', batch.id),
    run_at := batch.run_at,
    priority := app_private.push_priority(cardinality(batch.delivery_ids)),
    job_key := 'deliver_pushes:' || batch.id,
    max_attempts := 1000
  );
end;
$$;

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
  -- As add_batch_job() would, but all at once: that halves what the jobs of a fan-out cost.
  select graphile_worker.add_jobs(
    array_agg(
      row(
        'deliver_pushes',
        json_build_object('batchId', b.id),
        null,
        b.run_at,
        1000,
        'deliver_pushes:' || b.id,
        app_private.push_priority(cardinality(b.delivery_ids)),
        null
      )::graphile_worker.job_spec
    )
  )
  from added_batch b
  having count(*) > 0;
$$;

-- Planned while the queue is short, add_jobs() reads all of it for each job that is added, and a session keeps that plan
-- until the table is analyzed: let it look keys up.
alter function graphile_worker.add_jobs(graphile_worker.job_spec[], boolean) set enable_seqscan = off;
alter function graphile_worker.add_jobs(graphile_worker.job_spec[], boolean) set enable_hashjoin = off;
alter function graphile_worker.add_jobs(graphile_worker.job_spec[], boolean) set enable_mergejoin = off;
