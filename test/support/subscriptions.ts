import { type Client, createClient, type ExecutionResult } from "graphql-ws";
import WebSocket from "ws";

export interface Subscription {
  /** The next event, or a rejection after the time, milliseconds. */
  next(timeout?: number): Promise<ExecutionResult>;
  /** Resolves once the server has ended the subscription: with its errors, if any. */
  ended: Promise<unknown>;
  unsubscribe(): void;
}

export interface Socket {
  subscribe(query: string): Subscription;
  client: Client;
  /** Code and reason of the close. */
  closed: Promise<{ code: number; reason: string }>;
  close(): void;
}

/** A client of graphql-transport-ws that neither retries nor hides anything. */
export function openSocket(
  url: string,
  options: {
    authorization?: string | undefined;
    origin?: string;
    headers?: Record<string, string>;
  } = {},
): Socket {
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const client = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    webSocketImpl: class extends WebSocket {
      constructor(address: string, protocols: string[]) {
        const { origin, headers } = options;
        super(address, protocols, {
          ...(origin ? { origin } : {}),
          ...(headers ? { headers } : {}),
        });
      }
    },
    connectionParams:
      options.authorization === undefined ? {} : { authorization: options.authorization },
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => {
      // `closed` tells.
    },
    on: {
      closed: (event) => closed.resolve(event as { code: number; reason: string }),
    },
  });
  return {
    client,
    closed: closed.promise,
    close: () => void client.dispose(),
    subscribe(query) {
      const events: ExecutionResult[] = [];
      const waiting: ((event: ExecutionResult) => void)[] = [];
      const ended = Promise.withResolvers<unknown>();
      const unsubscribe = client.subscribe(
        { query },
        {
          next(event) {
            const waiter = waiting.shift();
            if (waiter) waiter(event as ExecutionResult);
            else events.push(event as ExecutionResult);
          },
          error: (error) => ended.resolve(error),
          complete: () => ended.resolve(undefined),
        },
      );
      return {
        ended: ended.promise,
        unsubscribe,
        next(timeout = 60_000) {
          const event = events.shift();
          if (event) return Promise.resolve(event);
          return new Promise((resolve, reject) => {
            const timer = setTimeout(
              () => reject(new Error(`No event within ${timeout} ms.`)),
              timeout,
            );
            waiting.push((received) => {
              clearTimeout(timer);
              resolve(received);
            });
          });
        },
      };
    },
  };
}
