import type { Pool } from "pg";
import { Gauge, type Registry } from "prom-client";

/** However often and by however many it is asked for, the database is asked once in this, milliseconds. */
const FRESH = 5000;
/** A queue that takes longer to count is not counted, milliseconds. */
const PATIENCE = 2000;

interface State {
  jobs: { task: string; state: string; jobs: number; oldest: number | null }[];
  pauses: { platform: string; pauses: number }[];
  breakers: { platform: string; deliveries: number }[];
  workers: number;
}

const STATE = `
  select jsonb_build_object(
    'jobs', (
      select coalesce(jsonb_agg(to_jsonb(s)), '[]') from (
        select task_identifier as task,
          case
            when locked_at is not null then 'running'
            when attempts >= max_attempts then 'given_up'
            when run_at > now() then 'scheduled'
            else 'waiting'
          end as state,
          count(*) as jobs,
          extract(epoch from now() - min(run_at)) as oldest
        from graphile_worker.jobs group by 1, 2
      ) s
    ),
    'pauses', (
      select coalesce(jsonb_agg(to_jsonb(s)), '[]') from (
        select coalesce(device_type::text, 'all') as platform, count(*) as pauses
        from app_public.push_pauses where ended_at is null and paused_until > now() group by 1
      ) s
    ),
    'breakers', (
      select coalesce(jsonb_agg(to_jsonb(s)), '[]') from (
        select device_type as platform, sum(deliveries) as deliveries
        from app_public.circuit_breakers where decided_at is null group by 1
      ) s
    ),
    'workers', (select count(*) from app_private.workers w where app_private.is_alive(w))
  ) as state`;

/** What the database knows: the same from every worker, so PromQL takes the max of them. */
export function watchQueue(registry: Registry, pool: Pool): void {
  const registers = [registry];
  let asked: { at: number; state: Promise<State | undefined> } | undefined;
  const state = () => {
    if (!asked || performance.now() - asked.at > FRESH) {
      asked = { at: performance.now(), state: read(pool) };
    }
    return asked.state;
  };
  const jobs = new Gauge({
    name: "howdah_queue_jobs",
    help: "Jobs in the queue, by task and state: waiting (due), running, scheduled (later), given_up.",
    labelNames: ["task", "state"],
    registers,
    async collect() {
      jobs.reset();
      for (const { task, state: label, jobs: count } of (await state())?.jobs ?? []) {
        jobs.set({ task, state: label }, count);
      }
    },
  });
  const oldest = new Gauge({
    name: "howdah_queue_oldest_seconds",
    help: "How long the oldest job that is due has been waiting, by task.",
    labelNames: ["task"],
    registers,
    async collect() {
      oldest.reset();
      for (const { task, state: label, oldest: age } of (await state())?.jobs ?? []) {
        if (label === "waiting") oldest.set({ task }, age ?? 0);
      }
    },
  });
  const pauses = new Gauge({
    name: "howdah_push_pauses",
    help: "Pauses in force, by platform (all: everything).",
    labelNames: ["platform"],
    registers,
    async collect() {
      const found = await state();
      pauses.reset();
      if (!found) return;
      for (const platform of ["all", "android", "ios", "web"]) pauses.set({ platform }, 0);
      for (const { platform, pauses: count } of found.pauses) pauses.set({ platform }, count);
    },
  });
  const breakers = new Gauge({
    name: "howdah_push_breaker_deliveries",
    help: "Deliveries that an open circuit breaker holds until an operator decides, by platform.",
    labelNames: ["platform"],
    registers,
    async collect() {
      const found = await state();
      breakers.reset();
      if (!found) return;
      for (const platform of ["android", "ios", "web"]) breakers.set({ platform }, 0);
      for (const { platform, deliveries } of found.breakers) {
        breakers.set({ platform }, deliveries);
      }
    },
  });
  const workers = new Gauge({
    name: "howdah_workers",
    help: "Worker processes that live, by their heartbeats.",
    registers,
    async collect() {
      const found = await state();
      workers.reset();
      if (found) workers.set(found.workers);
    },
  });
}

/** Undefined where the database is away: then nothing is said, and /ready and howdah_ready say why. */
async function read(pool: Pool): Promise<State | undefined> {
  try {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query(`set local statement_timeout = ${PATIENCE}`);
      const { rows } = await client.query<{ state: State }>(STATE);
      return rows[0]?.state;
    } finally {
      await client.query("rollback").catch(() => undefined);
      client.release();
    }
  } catch {
    return undefined;
  }
}
