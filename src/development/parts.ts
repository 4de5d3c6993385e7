import cluster, { type Worker } from "node:cluster";
import { join } from "node:path";
import type { Save } from "./save.ts";

/** What has code of its own and can be started anew. */
export type PartName = "api" | "worker";

/** What a part says of itself. */
export interface PartState {
  url: string;
  opsUrl: string;
  /** Of the API, as SDL. */
  schema?: string;
}
export type PartMessage = PartState | { fault: string };

/** What a part is told, other than to do something. */
export interface PartNews {
  saves: Save[];
}

export interface Part {
  /** Starts it, or puts a new one into the place of the one that runs, which ends what it is at. */
  restart(): Promise<PartMessage>;
  /** Ends the one that runs, and only then starts another. */
  startAnew(): Promise<PartMessage>;
  /** The API reads the schema of the database again. */
  rebuild(): Promise<PartMessage>;
  /** Whichever process of it runs, or will: each has the latest. */
  tell(news: PartNews): void;
  isRunning(): boolean;
  /** Ends one that is on its way: a newer save has to be followed. */
  giveUp(): void;
  stop(): Promise<void>;
}

/** A part that ends by itself is replaced after this, milliseconds. */
const REPLACE_AFTER = 1000;

/** A part that has said nothing by then never will: its code waits for something, milliseconds. */
const PATIENCE = 90_000;

/** One that is given up may give back what it holds for this long, milliseconds. */
const FAREWELL = 2000;

/**
 * One process of node:cluster: the new one listens on the same port before the old one stops, so
 * that no request is refused, and the old one goes on where the new one cannot start.
 * @throws where it ends without saying why in a message: it has said so on its stderr
 */
export function createPart(name: PartName, environment: Record<string, string>): Part {
  let current: Worker | undefined;
  let latest: PartNews | undefined;
  let starting: Worker | undefined;
  let stopping = false;
  let restarting: Promise<PartMessage> | undefined;

  async function start(): Promise<PartMessage> {
    cluster.setupPrimary({ exec: join(import.meta.dirname, "part.ts"), args: [name] });
    const next = cluster.fork(environment);
    starting = next;
    const said = await firstMessage(next).finally(() => {
      starting = undefined;
    });
    if (said === undefined) throw new Error(`its ${name} could not start.`);
    if ("fault" in said) return said;
    const previous = current;
    current = next;
    if (latest) next.send(latest);
    next.once("exit", (code) => void revive(next, code));
    if (previous) void end(previous);
    return said;
  }

  async function revive(worker: Worker, code: number): Promise<void> {
    if (worker !== current) return;
    current = undefined;
    if (stopping) return;
    if (code !== 0) console.error(`The ${name} has ended (code ${code}); it is started again.`);
    await new Promise((resolve) => setTimeout(resolve, REPLACE_AFTER));
    if (stopping || current || restarting) return;
    await restart().catch((error: Error) => console.error(error.message));
  }

  async function restart(begin = start): Promise<PartMessage> {
    if (stopping) return { fault: "it is being stopped" };
    restarting = begin();
    try {
      return await restarting;
    } finally {
      restarting = undefined;
    }
  }

  async function endAndStart(): Promise<PartMessage> {
    const previous = current;
    current = undefined;
    if (previous) await end(previous);
    return start();
  }

  return {
    restart: () => restart(),
    startAnew: () => restart(endAndStart),
    isRunning: () => current !== undefined,
    giveUp() {
      if (starting) kill(starting);
    },
    async rebuild() {
      if (!current) return restart();
      const answer = firstMessage(current);
      current.send("rebuild");
      // It ended meanwhile: a new one has the new schema.
      return (await answer) ?? restart();
    },
    tell(news) {
      latest = news;
      if (current?.isConnected()) current.send(news);
    },
    async stop() {
      stopping = true;
      if (starting) kill(starting);
      await restarting?.catch(() => {});
      if (current) await end(current);
    },
  };
}

/** Its next message; undefined where it ends without one, as it has to where it takes too long. */
function firstMessage(worker: Worker): Promise<PartMessage | undefined> {
  return new Promise((resolve) => {
    const settle = (message?: PartMessage) => {
      clearTimeout(timer);
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      resolve(message);
    };
    const timer = setTimeout(() => {
      console.error(`It has not answered within ${PATIENCE / 1000} s, and is ended.`);
      kill(worker);
    }, PATIENCE);
    const onMessage = (message: PartMessage) => settle(message);
    const onExit = () => settle();
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    if (worker.isDead()) settle();
  });
}

/** Ends it, whatever it is at; if it is up by now, it may drain for a moment. */
function kill(worker: Worker): void {
  if (worker.isConnected()) worker.send("stop", () => {});
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), FAREWELL);
  worker.once("exit", () => clearTimeout(timer));
}

/** Asks it to drain, and waits until it has gone. */
async function end(worker: Worker): Promise<void> {
  if (worker.isDead()) return;
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  if (worker.isConnected()) worker.send("stop", () => {});
  await exited;
}
