/**
 * How many results of a subscription its client has asked for: the socket asks for the next when
 * the one before is on its way. grafast reads its source as fast as it can and keeps what it made
 * of it; held to the demand, what waits stays in the queue, which has a bound.
 */
export interface Demand {
  /** The client is ready for one more. */
  add(): void;
  /** Resolves once it is ready for the result with this number, from 0. */
  reaches(position: number): Promise<void>;
}

export function createDemand(): Demand {
  let asked = 0;
  let waiting: { position: number; resolve(): void } | undefined;
  return {
    add() {
      asked += 1;
      if (waiting && asked > waiting.position) {
        waiting.resolve();
        waiting = undefined;
      }
    },
    reaches(position) {
      if (asked > position) return Promise.resolve();
      return new Promise((resolve) => {
        waiting = { position, resolve };
      });
    },
  };
}

/** The same source, which gives no event, and no error, before there is demand for it. */
export function paced<TEvent>(
  source: AsyncIterableIterator<TEvent>,
  demand: Demand,
): AsyncIterableIterator<TEvent> {
  let position = 0;
  const iterator: AsyncIterableIterator<TEvent> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      await demand.reaches(position);
      position += 1;
      return source.next();
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
    async throw(error) {
      await source.return?.();
      throw error;
    },
  };
  return iterator;
}

/** The same results; the source hears of each that is asked for. */
export function onDemand<T>(results: AsyncIterable<T>, demand: Demand): AsyncIterableIterator<T> {
  const source = results[Symbol.asyncIterator]();
  const iterator: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      demand.add();
      return source.next();
    },
    return: async (value) =>
      (await source.return?.(value)) ?? { done: true, value: undefined as never },
    throw: async (error) => {
      await source.throw?.(error);
      throw error;
    },
  };
  return iterator;
}
