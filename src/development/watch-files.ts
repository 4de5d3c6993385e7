import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join, sep } from "node:path";

/** Editors write a file in several steps, git writes many: one answer for all within this, milliseconds. */
const SETTLE = 50;

/** What an editor leaves beside a file, and what is none of ours. */
const OURS = /\.(sql|ts|cjs|json)$/;

/**
 * Tells which files below the folders of `root` were written, paths from there. Each folder is watched,
 * and no file: editors and git put a new file in the place of the old one, and who watches files, as
 * Node's own recursive watch does on Linux, stays with the old one.
 */
export function watchFiles(
  root: string,
  folders: readonly string[],
  changed: (paths: ReadonlySet<string>) => void,
): { stop(): void } {
  let paths = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const watchers = new Map<string, FSWatcher>();

  function note(path: string): void {
    if (!OURS.test(path)) return;
    paths.add(path);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const all = paths;
      paths = new Set();
      changed(all);
    }, SETTLE);
  }

  function add(folder: string): void {
    const watcher = watch(join(root, folder), (event, name) => {
      if (name === null || /^[.#]/.test(name)) return;
      const path = join(folder, name);
      if (folder === "" && !folders.includes(path)) return;
      if (event === "rename" && isFolder(join(root, path))) replace(path);
      else note(path);
    });
    // It is gone; what comes in its place is told by the folder above.
    watcher.on("error", () => watcher.close());
    watchers.set(folder, watcher);
  }

  /** Watches a folder, what is below it too, in the place of one that had its name; all in it is new. */
  function replace(folder: string): void {
    for (const [path, watcher] of watchers) {
      if (path !== folder && !path.startsWith(folder + sep)) continue;
      watcher.close();
      watchers.delete(path);
    }
    try {
      follow(folder, note);
    } catch (error) {
      // It has gone again meanwhile.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  function follow(folder: string, found: (path: string) => void): void {
    add(folder);
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) follow(path, found);
      else if (!/^[.#]/.test(entry.name)) found(path);
    }
  }

  add("");
  for (const folder of folders) follow(folder, () => {});
  return {
    stop() {
      clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
