import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import type { Connection } from "./client.ts";
import { PushActivityDocument } from "./generated.ts";

export interface Live {
  /** Counts up with what happens: whoever shows it fetches again. */
  tick: number;
  /** Whether events come in at this moment; undefined before the first connection. */
  isConnected: boolean | undefined;
}

const LiveContext = createContext<Live>({ tick: 0, isConnected: undefined });
export const useLive = (): Live => useContext(LiveContext);

/** Many events are one look, milliseconds. */
const CALM = 400;
/** What tells of nothing itself, such as a delivery of many, is looked at so often, milliseconds. */
const PULSE = 5000;
const RESUBSCRIBE = 1000;

/** Hears of each push that begins or ends, and of the connection that tells of it. */
export function LiveProvider(props: { connection: Connection; children: ReactNode }) {
  const { connection, children } = props;
  const [tick, setTick] = useState(0);
  const [isConnected, setConnected] = useState<boolean>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setTick((count) => count + 1);
      }, CALM);
    };
    const pulse = setInterval(() => document.visibilityState === "visible" && look(), PULSE);
    document.addEventListener("visibilitychange", look);
    const stop = [
      connection.socket.on("connected", () => {
        setConnected(true);
        look();
      }),
      connection.socket.on("closed", () => setConnected(false)),
      subscribe(connection, look),
    ];
    return () => {
      clearTimeout(timer);
      clearInterval(pulse);
      document.removeEventListener("visibilitychange", look);
      for (const end of stop) end();
    };
  }, [connection]);
  const live = useMemo(() => ({ tick, isConnected }), [tick, isConnected]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

/** Subscribes, and again where the server had to end it; what was missed is looked at then. */
function subscribe({ client }: Connection, look: () => void): () => void {
  let stop: (() => void) | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  const start = () => {
    const running = client.subscription(PushActivityDocument, {}).subscribe(({ error }) => {
      look();
      if (!error) return;
      running.unsubscribe();
      again = setTimeout(start, RESUBSCRIBE);
    });
    stop = running.unsubscribe;
  };
  start();
  return () => {
    clearTimeout(again);
    stop?.();
  };
}
