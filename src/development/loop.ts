import { createCatalogueCheck, describeCatalogue } from "./catalogue.ts";
import { collect } from "./collect.ts";
import { MigrationFault } from "./current-file.ts";
import { applyCurrentMigration } from "./current-migration.ts";
import { tellOfLocks } from "./lock-wait.ts";
import type { Part, PartMessage, PartState } from "./parts.ts";
import { describeChanges, readableChanges, unbuildable } from "./report.ts";
import type { Save } from "./save.ts";
import { writeSchemaFiles } from "./schema-files.ts";

export interface LoopOptions {
  root: string;
  /** The owner's. */
  databaseUrl: string;
  api: Part;
  worker: Part;
  /** The first time that there is an API: at the start, or with the first schema that can be built. */
  onUp(api: PartState, worker: PartState): void;
  /** Once API and worker are those of a database that has taken the place of the one before. */
  onAnotherDatabase(): void;
}

export interface Loop {
  /** Resolves when nothing is left to be done. */
  changed(paths: Iterable<string>): Promise<void>;
  /** @throws where API or worker cannot start, other than for the schema */
  start(): Promise<void>;
  /** Calls back what is being applied; nothing follows any more. */
  stop(): Promise<void>;
}

/** Saves that are remembered for who looks at them in the console. */
const MAX_SAVES = 20;

/** From a change of a file to what follows of it, one after another; what comes meanwhile comes next. */
export function createLoop({
  root,
  databaseUrl,
  api,
  worker,
  onUp,
  onAnotherDatabase,
}: LoopOptions): Loop {
  const checkCatalogue = createCatalogueCheck(databaseUrl);
  let schema: string | undefined;
  let database: number | undefined;
  let waiting = new Set<string>();
  let running: Promise<void> | undefined;
  let workerState: PartState | undefined;
  let applying: { controller: AbortController; done: Promise<unknown> } | undefined;
  const saves: Save[] = [];

  /** For the console: the newest first. */
  function remember(save: Save, began: number): void {
    saves.unshift({ ...save, seconds: (performance.now() - began) / 1000 });
    saves.length = Math.min(saves.length, MAX_SAVES);
    api.tell({ saves });
  }

  /** Takes the API's schema over, and tells what is new in it. */
  async function take(said: PartMessage, began: number, isSql: boolean, save: Save): Promise<void> {
    const rules = judge(save);
    if ("fault" in said) {
      save.fault = `${unbuildable(said.fault)}\n${api.isRunning() ? "The API goes on with the schema before." : "There is no API until it can."}`;
      console.error(save.fault);
      const findings = await rules;
      if (findings !== undefined) console.log(findings);
      return;
    }
    const { schema: next = "" } = said;
    const isTold = schema !== undefined && (isSql || schema !== next);
    const [fault, changes, findings] = await Promise.all([
      writeSchemaFiles(root, next),
      isTold ? readableChanges(schema as string, next) : undefined,
      rules,
    ]);
    if (schema === undefined && workerState) onUp(said, workerState);
    schema = next;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (changes !== undefined) {
      save.api = changes;
      console.log(`${describeChanges(changes)} (${seconds} s)`);
    }
    if (fault !== undefined) console.error(fault);
    if (findings !== undefined) console.log(findings);
  }

  /** @returns what is new of it, for the terminal */
  async function judge(save: Save): Promise<string | undefined> {
    try {
      return describeCatalogue(Object.assign(save, await checkCatalogue()));
    } catch (error) {
      return `No rules: ${(error as Error).message}`;
    }
  }

  async function apply(save: Save): Promise<"applied" | "another database" | undefined> {
    const locks = tellOfLocks(databaseUrl, (text) => console.error(text));
    const controller = new AbortController();
    const { signal } = controller;
    const done = applyCurrentMigration(databaseUrl, root, signal);
    applying = { controller, done };
    try {
      const { oid, isEmpty } = await done;
      console.log(
        isEmpty
          ? "migrations/current.sql has no statement: nothing is run (what it did before stays)"
          : "migrations/current.sql is applied",
      );
      const isAnother = database !== undefined && database !== oid;
      database = oid;
      save.isApplied = true;
      return isAnother ? "another database" : "applied";
    } catch (error) {
      if (!(error instanceof MigrationFault)) throw error;
      save.fault = error.message;
      if (!signal.aborted) console.error(`\n${error.message}\n`);
      return undefined;
    } finally {
      applying = undefined;
      locks.stop();
    }
  }

  async function follow(paths: ReadonlySet<string>): Promise<void> {
    const began = performance.now();
    const all = [...paths];
    const save = emptySave(all);
    const isSql = all.some((path) => path.startsWith("migrations/"));
    const applied = isSql ? await apply(save) : undefined;
    // What processes know of the old database by heart, such as the queue's task ids, is wrong now.
    const isAnother = applied === "another database";
    const isCode = isAnother || all.some((path) => path.startsWith("src/"));
    const isTask = isCode || all.some((path) => path.startsWith("tasks/"));
    if (applied && !isCode) await take(await api.rebuild(), began, true, save);
    // Its findings are those of before: nothing has changed.
    if (isSql && !applied) save.findings = saves[0]?.findings ?? [];
    if (!isTask) {
      if (isSql) remember(save, began);
      return;
    }
    // The old worker would run jobs of the new database as other tasks, by the ids that it knows.
    const restarts = [
      isAnother ? worker.startAnew() : worker.restart(),
      ...(isCode ? [api.restart()] : []),
    ];
    const [, apiStart] = await Promise.allSettled(restarts);
    if (apiStart?.status === "fulfilled") await take(apiStart.value, began, isSql, save);
    const results = await Promise.allSettled(restarts);
    const isUp = results.every((said) => said.status === "fulfilled" && !("fault" in said.value));
    const what =
      all.length > 3 ? `${all.slice(0, 3).join(", ")} and ${all.length - 3} more` : all.join(", ");
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (isSql) remember(save, began);
    if (isAnother) onAnotherDatabase();
    if (isUp) console.log(`${what}: new ${isCode ? "API and worker" : "worker"} (${seconds} s)`);
    else console.error(`${what}: what could not start goes on with the code before`);
  }

  async function run(): Promise<void> {
    while (waiting.size > 0) {
      const paths = waiting;
      waiting = new Set();
      try {
        await follow(paths);
      } catch (error) {
        // The database is away, say: the next save tries again.
        console.error(`${[...paths].join(", ")}: ${(error as Error).message}`);
      }
      collect();
    }
  }

  return {
    changed(paths) {
      for (const path of paths) waiting.add(path);
      if (applying && [...waiting].some((path) => path.startsWith("migrations/"))) {
        const { signal } = applying.controller;
        if (!signal.aborted) console.log("A newer save takes the place of the one that runs.");
        applying.controller.abort();
      }
      // What is started anew for it anyway.
      const isCode = [...waiting].some((path) => path.startsWith("src/"));
      if (isCode) api.giveUp();
      if (isCode || [...waiting].some((path) => path.startsWith("tasks/"))) worker.giveUp();
      running ??= run().finally(() => {
        running = undefined;
      });
      return running;
    },
    async start() {
      const began = performance.now();
      const save = emptySave([]);
      await apply(save);
      const [apiSaid, workerSaid] = await Promise.all([api.restart(), worker.restart()]);
      if ("fault" in workerSaid) throw new Error(workerSaid.fault);
      workerState = workerSaid;
      await take(apiSaid, began, true, save);
      remember(save, began);
    },
    async stop() {
      waiting.clear();
      if (!applying) return;
      applying.controller.abort();
      await applying.done.catch(() => {});
    },
  };
}

function emptySave(files: string[]): Save {
  return {
    at: new Date().toISOString(),
    files,
    seconds: 0,
    isApplied: false,
    fault: null,
    api: [],
    access: [],
    findings: [],
    mended: 0,
  };
}
