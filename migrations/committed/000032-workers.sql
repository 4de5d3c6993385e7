--! Previous: sha1:f8eb6f6825510595eec6f986d761ac178eb97776
--! Hash: sha1:bb5b3764275970d4a76d00ef8dcbec3894812a8e
--! Message: workers

-- Which worker processes live: what a dead one held is given to others.

create table app_private.workers (
  id uuid not null,
  -- Its names in the job queue.
  job_worker_ids text[] not null default '{}',
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  constraint workers_pkey primary key (id)
);
alter table app_private.workers enable row level security;
comment on table app_private.workers is
  'The worker processes, by their heartbeat (every 5 seconds). No policy, no grant: the owner only.';
comment on column app_private.workers.job_worker_ids is
  'locked_by of its jobs in graphile_worker, to be unlocked when it dies.';

create or replace function app_private.is_alive(worker app_private.workers) returns boolean
language sql stable
as $$
  -- While PostgreSQL was away nobody could say anything: that time does not count.
  select greatest(worker.heartbeat_at, pg_postmaster_start_time()) > now() - interval '20 seconds';
$$;
comment on function app_private.is_alive(app_private.workers) is
  'False for a worker that has missed four heartbeats.';
