/** Messages at once, of all batches together. */
export const LANES = 64;
/** And so many besides whose answer is slow. */
export const SLOW_MESSAGES = 192;
/** What takes longer is slow, milliseconds. */
const PATIENCE = 2000;
/** How often that is looked for, milliseconds. */
const LOOK = 250;

/** So many things at once, of all lists together. */
export interface Lanes {
  /**
   * Does the work for each item, in order, until the signal is aborted: then nothing more is begun. Resolves when
   * all that was begun is done, or slow and only waited for. `work` must not reject.
   */
  run<T>(items: readonly T[], work: (item: T) => Promise<void>, signal: AbortSignal): Promise<void>;
}

interface List {
  left(): number;
  begin(): Promise<void>;
  /** What it has in a lane. */
  underWay: number;
  finish(): void;
}

interface Work {
  list: List;
  began: number;
  isSlow: boolean;
}

/**
 * The list with the least left goes first: a single message does not wait for a campaign, and the
 * lists of a campaign end one after the other, so that the next is at hand while one is written down.
 * What is slow gives its lane to others, as long as no more than `slow` things are.
 */
export function createLanes(count = LANES, slow = SLOW_MESSAGES, patience = PATIENCE): Lanes {
  const lists = new Set<List>();
  /** The oldest first. */
  const works = new Set<Work>();
  let busy = 0;
  let slowOnes = 0;
  let look: NodeJS.Timeout | undefined;

  function shortest(): List | undefined {
    let found: List | undefined;
    for (const list of lists) {
      if (list.left() === 0) continue;
      if (found === undefined || list.left() < found.left()) found = list;
    }
    return found;
  }

  function settle(list: List): void {
    if (list.underWay > 0 || list.left() > 0) return;
    lists.delete(list);
    list.finish();
  }

  function fill(): void {
    while (busy < count) {
      const list = shortest();
      if (list === undefined) break;
      busy += 1;
      list.underWay += 1;
      const work = { list, began: performance.now(), isSlow: false };
      works.add(work);
      void list.begin().finally(() => {
        works.delete(work);
        if (work.isSlow) slowOnes -= 1;
        else leave(list);
        fill();
      });
    }
    if (works.size > slowOnes && look === undefined) look = setTimeout(findSlow, LOOK).unref();
  }

  function leave(list: List): void {
    busy -= 1;
    list.underWay -= 1;
    settle(list);
  }

  function findSlow(): void {
    look = undefined;
    const since = performance.now() - patience;
    for (const work of works) {
      if (work.began > since || slowOnes >= slow) break;
      if (work.isSlow) continue;
      work.isSlow = true;
      slowOnes += 1;
      leave(work.list);
    }
    fill();
  }

  return {
    async run(items, work, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let next = 0;
      const list: List = {
        left: () => (signal.aborted ? 0 : items.length - next),
        begin() {
          const item = items[next] as (typeof items)[number];
          next += 1;
          return work(item);
        },
        underWay: 0,
        finish: resolve,
      };
      const stop = () => settle(list);
      signal.addEventListener("abort", stop);
      lists.add(list);
      settle(list);
      fill();
      await promise;
      signal.removeEventListener("abort", stop);
    },
  };
}
