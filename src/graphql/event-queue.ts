import { ApiError } from "../errors.ts";

/** A reader that lets so many events wait is too slow, and is told so. */
const MAX_QUEUED_EVENTS = 1000;

/** What is pushed at one end is read at the other, in order. */
export interface EventQueue<TEvent> {
  iterator: AsyncIterableIterator<TEvent>;
  push(event: TEvent): void;
  /** What waits is dropped: the reader has to fetch anew anyway. */
  fail(error: Error): void;
  end(): void;
}

type Waiting<TEvent> = {
  resolve(result: IteratorResult<TEvent>): void;
  reject(error: Error): void;
};

export function createEventQueue<TEvent>(onEnd: () => void): EventQueue<TEvent> {
  const queue: TEvent[] = [];
  const waiting: Waiting<TEvent>[] = [];
  let ended: { error?: Error } | undefined;

  function finish(error?: Error): void {
    if (ended) return;
    ended = error ? { error } : {};
    if (error) queue.length = 0;
    onEnd();
    for (const { resolve, reject } of waiting.splice(0)) {
      if (error) reject(error);
      else resolve({ done: true, value: undefined });
    }
  }

  const iterator: AsyncIterableIterator<TEvent> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      const [value] = queue;
      if (queue.length > 0) {
        queue.shift();
        return { done: false, value: value as TEvent };
      }
      if (!ended) return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
      const { error } = ended;
      ended = {};
      if (error) throw error;
      return { done: true, value: undefined };
    },
    async return() {
      queue.length = 0;
      finish();
      return { done: true, value: undefined };
    },
    async throw(error) {
      finish(error);
      throw error;
    },
  };

  return {
    iterator,
    push(event) {
      if (ended) return;
      const first = waiting.shift();
      if (first) return first.resolve({ done: false, value: event });
      if (queue.length >= MAX_QUEUED_EVENTS) {
        return finish(
          new ApiError("UNAVAILABLE", "This subscriber is too slow; events were dropped.", {
            hint: "Subscribe again, then fetch again.",
          }),
        );
      }
      queue.push(event);
    },
    fail: (error) => finish(error),
    end: () => finish(),
  };
}
