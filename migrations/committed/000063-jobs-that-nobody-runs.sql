--! Previous: sha1:72435cdf3f3646a79a3c9f2206d6a1dcf2c4f3db
--! Hash: sha1:bc1ae26847e8a62624f38d265eb3b5f1682614d5
--! Message: jobs that nobody runs

-- A job may be locked by a worker that lives and does not run it: the answer that gave it the job, or the end of
-- the job, was lost with a connection. graphile-worker would leave it alone for four hours.

create or replace function app_private.free_jobs(
  live_pools text[], ended_pools text[], under_way bigint[], done bigint[]
) returns int
language plpgsql volatile
as $$
declare
  v_jobs bigint[];
begin
  select array_agg(j.id) into v_jobs
  from (
    select l.id from graphile_worker._private_jobs l
    where l.locked_by = any (ended_pools)
      or (
        l.locked_by = any (live_pools)
        and l.id <> all (under_way)
        -- What was locked a moment ago the worker may not know yet.
        and l.locked_at < now() - interval '20 seconds'
      )
    for update skip locked
  ) as j;
  if v_jobs is null then
    return 0;
  end if;
  delete from graphile_worker._private_jobs j where j.id = any (v_jobs) and j.id = any (done);
  update graphile_worker._private_jobs j
  set locked_by = null, locked_at = null where j.id = any (v_jobs);
  update graphile_worker._private_job_queues q
  set locked_by = null, locked_at = null
  where q.locked_by = any (live_pools || ended_pools)
    and not exists (
      select from graphile_worker._private_jobs j
      where j.job_queue_id = q.id and j.locked_at is not null
    );
  return cardinality(v_jobs);
end;
$$;
comment on function app_private.free_jobs(text[], text[], bigint[], bigint[]) is
  'A worker process says by which names it locks jobs, which of those names run nothing any more, and which jobs it runs: others of its jobs are free, and those that it has done are deleted.';
