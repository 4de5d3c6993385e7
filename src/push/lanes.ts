/** So many things at once, of all lists together. */
export interface Lanes {
  /**
   * Does the work for each item, in order, until the signal is aborted: what was begun is waited
   * for, nothing more is begun. Resolves when nothing of it is under way. `work` must not reject.
   */
  run<T>(items: readonly T[], work: (item: T) => Promise<void>, signal: AbortSignal): Promise<void>;
}

interface List {
  left(): number;
  begin(): Promise<void>;
  underWay: number;
  finish(): void;
}

/**
 * The list with the least left goes first: a single message does not wait for a campaign, and the
 * lists of a campaign end one after the other, so that the next is at hand while one is written down.
 */
export function createLanes(count: number): Lanes {
  const lists = new Set<List>();
  let busy = 0;

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
      if (list === undefined) return;
      busy += 1;
      list.underWay += 1;
      void list.begin().finally(() => {
        busy -= 1;
        list.underWay -= 1;
        settle(list);
        fill();
      });
    }
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
