import { useEffect, useState } from "react";
import { authorized } from "../graphql/client.ts";

const RETRY = 1000;

/** Counts up with each event that comes from /console/development, and with each connection to it. */
export function useEvents(path: "events" | "saves/events"): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const over = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    async function listen(): Promise<void> {
      try {
        const answer = await authorized(`/console/development/${path}`, { signal: over.signal });
        if (!answer.ok || !answer.body) throw new Error(`${answer.status}`);
        const reader = answer.body.getReader();
        setCount((before) => before + 1);
        for (;;) {
          const { done } = await reader.read();
          if (done) break;
          setCount((before) => before + 1);
        }
      } catch {
        // The server is away, or the page: tried again, unless it is the latter.
      }
      if (!over.signal.aborted) again = setTimeout(() => void listen(), RETRY);
    }
    void listen();
    return () => {
      over.abort();
      clearTimeout(again);
    };
  }, [path]);
  return count;
}
