import { EventEmitter } from "node:events";
import type { SaveLog } from "../http/console-development.ts";
import type { PartNews } from "./parts.ts";

/** What the process that follows the files tells this one. */
export function receiveSaves(): SaveLog {
  const changes = new EventEmitter();
  changes.setMaxListeners(0);
  let saves: PartNews["saves"] = [];
  process.on("message", (message: unknown) => {
    if (typeof message !== "object" || message === null || !("saves" in message)) return;
    ({ saves } = message as PartNews);
    changes.emit("change");
  });
  return {
    all: () => saves,
    onChange(listener) {
      changes.on("change", listener);
      return () => changes.off("change", listener);
    },
  };
}
