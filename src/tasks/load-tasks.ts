import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { TaskList } from "graphile-worker";
import type { TaskContext, TaskFactory } from "./task.ts";

const TASKS = resolve(import.meta.dirname, "../../tasks");

/** Every file of tasks/ is a task, its name the identifier; none is listed anywhere else. */
export async function taskNames(): Promise<string[]> {
  return (await readdir(TASKS))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => basename(file, ".ts"));
}

/** @throws where a file is no task, with the line of the mistake */
export async function loadTasks(contextOf: (task: string) => TaskContext): Promise<TaskList> {
  const entries = (await taskNames()).map(async (name) => {
    const module = (await import(pathToFileURL(join(TASKS, `${name}.ts`)).href).catch((error) => {
      throw new Error(`tasks/${name}.ts: ${withPlace(error)}`, { cause: error });
    })) as { default?: TaskFactory };
    if (!module.default) throw new Error(`tasks/${name}.ts has no default export.`);
    return [name, module.default(contextOf(name))] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** A syntax error's stack begins with the line and a caret; of any other error it has the place. */
function withPlace(error: Error): string {
  const [told = "", ...places] = (error.stack ?? String(error)).split(/\n\s+at /);
  if (error instanceof SyntaxError) return told;
  const place = places.find((one) => one.includes("file://"))?.match(/file:\/\/([^)]+)/)?.[1];
  return place === undefined ? error.message : `${error.message} (${place})`;
}
