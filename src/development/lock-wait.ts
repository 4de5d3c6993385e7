import pg from "pg";

/** A migration that takes this long may be waiting, milliseconds. */
const PATIENCE = 1500;

const BLOCKERS = `
select distinct b.pid, b.application_name as name, b.usename as role, b.state, left(b.query, 80) as query,
  to_char(b.xact_start, 'HH24:MI:SS') as since
from pg_stat_activity w
cross join lateral unnest(pg_blocking_pids(w.pid)) as p(pid)
join pg_stat_activity b on b.pid = p.pid
where w.datname = current_database() and w.usename = current_user and w.wait_event_type = 'Lock'
  -- graphile-migrate's connections have no name.
  and w.application_name in ('', 'howdah migrate')`;

interface Blocker {
  pid: number;
  name: string;
  role: string;
  /** Null where the owner may not see what another role does. */
  state: string | null;
  query: string;
  since: string;
}

/** Tells once for each transaction that a migration of this database waits for. */
export function tellOfLocks(databaseUrl: string, tell: (text: string) => void): { stop(): void } {
  const told = new Set<number>();
  let isOver = false;
  const look = async () => {
    for (const blocker of await blockers(databaseUrl).catch(() => [])) {
      if (isOver || told.has(blocker.pid)) continue;
      told.add(blocker.pid);
      tell(describe(blocker));
    }
    if (!isOver) timer = setTimeout(look, PATIENCE);
  };
  let timer = setTimeout(look, PATIENCE);
  return {
    stop() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

async function blockers(databaseUrl: string): Promise<Blocker[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: "howdah dev" });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Blocker>(BLOCKERS)).rows;
  } finally {
    await client.end();
  }
}

function describe({ pid, name, role, state, query, since }: Blocker): string {
  if (name === "howdah migrate") {
    return `Waiting for another migration (process ${pid}) to end.`;
  }
  const who = name === "" ? `process ${pid}` : `${name} (process ${pid})`;
  const doing = state === null ? `as ${role}` : `${state} since ${since}: ${query}`;
  return `Waiting for a lock that ${who} holds, ${doing}\nEnd its transaction, or: select pg_terminate_backend(${pid});`;
}
