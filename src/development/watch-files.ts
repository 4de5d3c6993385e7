import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";

/** Editors write a file in several steps, git writes many: one answer for all within this, milliseconds. */
const SETTLE = 50;

/** What an editor leaves beside a file, and what is none of ours. */
const OURS = /\.(sql|ts|cjs|json)$/;

/**
 * Tells which files below the folders of `root` were written, paths from there; a folder is watched
 * and not a file, because editors put a new file in the place of the old one.
 */
export function watchFiles(
  root: string,
  folders: readonly string[],
  changed: (paths: ReadonlySet<string>) => void,
): { stop(): void } {
  let paths = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const watchers = folders.map(
    (folder): FSWatcher =>
      watch(join(root, folder), { recursive: true }, (_event, name) => {
        if (name === null || !OURS.test(name) || /(^|\/)[.#]/.test(name)) return;
        paths.add(join(folder, name));
        clearTimeout(timer);
        timer = setTimeout(() => {
          const all = paths;
          paths = new Set();
          changed(all);
        }, SETTLE);
      }),
  );
  return {
    stop() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}
