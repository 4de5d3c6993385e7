import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { TaskList } from "graphile-worker";
import type { TaskContext, TaskFactory } from "./task.ts";

const TASKS = resolve(import.meta.dirname, "../../tasks");

/** Every file of tasks/ is a task, its name the identifier; none is listed anywhere else. */
export async function loadTasks(context: TaskContext): Promise<TaskList> {
  const files = (await readdir(TASKS)).filter((file) => file.endsWith(".ts"));
  const entries = await Promise.all(
    files.map(async (file) => {
      const module = (await import(pathToFileURL(join(TASKS, file)).href)) as {
        default?: TaskFactory;
      };
      if (!module.default) throw new Error(`tasks/${file} has no default export.`);
      return [basename(file, ".ts"), module.default(context)] as const;
    }),
  );
  return Object.fromEntries(entries);
}
