import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";

const COMMITTED = resolve(import.meta.dirname, "../../migrations/committed");
/** An answer is good for so long, and is waited for so long; milliseconds. */
const FRESH = 500;
const PATIENCE = 1000;

const UNREACHABLE = "the database is not reachable";
const UNMIGRATED = "the database lacks migrations: run `npm run migrate`";

export interface HealthCheck {
  /** What a process lacks to serve, in words; undefined where nothing is missing. Never throws. */
  missing(): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * Whether the database answers and has the migrations that this code was built for (more are fine).
 * By a connection of its own: it must not wait for the pool, nor take from it.
 */
export async function createHealthCheck(options: {
  connectionString: string;
  applicationName: string;
}): Promise<HealthCheck> {
  const newest = await newestMigration();
  let client: pg.Client | undefined;
  let asked: { at: number; answer: Promise<string | undefined> } | undefined;

  async function connection(): Promise<pg.Client> {
    if (client) return client;
    const candidate = new pg.Client({
      connectionString: options.connectionString,
      application_name: options.applicationName,
      connectionTimeoutMillis: PATIENCE,
    });
    candidate.on("error", () => drop(candidate));
    candidate.on("end", () => drop(candidate));
    client = candidate;
    await candidate.connect();
    return candidate;
  }

  function drop(candidate: pg.Client | undefined): void {
    if (candidate && client === candidate) {
      client = undefined;
      // What it said is no longer so.
      asked = undefined;
    }
    // It does not answer: a farewell would wait for it.
    (
      candidate as unknown as { connection?: { stream?: { destroy(): void } } } | undefined
    )?.connection?.stream?.destroy();
  }

  async function ask(): Promise<string | undefined> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("No answer.")), PATIENCE);
    const checked = check();
    try {
      return await Promise.race([checked, late.promise]);
    } catch (error) {
      checked.catch(() => undefined);
      // The function is one of the newest migrations, and needs the migrator's table.
      if (/^(42883|42P01|3F000|42501)$/.test((error as { code?: string }).code ?? "")) {
        return UNMIGRATED;
      }
      drop(client);
      return UNREACHABLE;
    } finally {
      clearTimeout(timer);
    }
  }

  async function check(): Promise<string | undefined> {
    const { rows } = await (await connection()).query<{ is_current: boolean }>(
      "select app_private.has_migration($1) as is_current",
      [newest],
    );
    return rows[0]?.is_current ? undefined : UNMIGRATED;
  }

  return {
    missing() {
      if (!asked || performance.now() - asked.at > FRESH) {
        asked = { at: performance.now(), answer: ask() };
      }
      return asked.answer;
    },
    async close() {
      await asked?.answer;
      const last = client;
      client = undefined;
      await last?.end();
    },
  };
}

/** Its hash, which says that each one before is there as well. */
async function newestMigration(): Promise<string> {
  const file = (await readdir(COMMITTED))
    .filter((name) => /^\d+.*\.sql$/.test(name))
    .sort()
    .at(-1);
  const text = file === undefined ? "" : await readFile(join(COMMITTED, file), "utf8");
  const hash = /^--! Hash: (\S+)$/m.exec(text)?.[1];
  if (hash === undefined) throw new Error("migrations/committed has no migration with a hash.");
  return hash;
}
