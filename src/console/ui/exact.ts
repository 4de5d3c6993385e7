import { useSyncExternalStore } from "react";

/** Whether times are shown as exact instants, for who has no mouse to hover with; kept by this browser. */
const KEY = "howdah.exact";
const listeners = new Set<() => void>();
let isExact = localStorage.getItem(KEY) === "on";

export function useExact(): [boolean, (value: boolean) => void] {
  return [useSyncExternalStore(subscribe, () => isExact), set];
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function set(value: boolean): void {
  isExact = value;
  localStorage.setItem(KEY, value ? "on" : "off");
  for (const listener of listeners) listener();
}
