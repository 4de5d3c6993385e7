import { createClient as createSocket, type Client as Socket } from "graphql-ws";
import { Client, fetchExchange, subscriptionExchange } from "urql";
import { accessToken } from "../session/session.ts";

export interface Connection {
  client: Client;
  socket: Socket;
}

/** The longest pause between two tries to connect, milliseconds. */
const LAST_RETRY = 4000;
/** Longer than the server takes over any request, milliseconds: what has no answer then will have none. */
const PATIENCE = 40_000;

/**
 * The API of one log-in. Nothing is cached: an operator looks at what is. Each request has a token
 * that is good, and goes out once more where the server refused it all the same.
 */
export function connect(): Connection {
  const socket = createSocket({
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`,
    lazy: false,
    keepAlive: 8000,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: (retries) =>
      new Promise((resolve) => {
        setTimeout(resolve, Math.min(LAST_RETRY, 200 * 2 ** retries) * (0.7 + Math.random() * 0.3));
      }),
    connectionParams: async () => ({ authorization: `Bearer ${await tokenForSocket()}` }),
    on: {
      closed(event) {
        if ((event as CloseEvent).code === 4403) refused = lastToken;
      },
    },
    onNonLazyError: () => {
      // It is tried again, and the page says that the connection is lost.
    },
  });
  let lastToken: string | undefined;
  let refused: string | undefined;
  async function tokenForSocket(): Promise<string | undefined> {
    lastToken = await accessToken(refused);
    return lastToken;
  }
  const client = new Client({
    url: "/graphql",
    requestPolicy: "network-only",
    preferGetMethod: false,
    fetch: (input, init) =>
      authorizedFetch(input, {
        ...init,
        signal: AbortSignal.any([
          AbortSignal.timeout(PATIENCE),
          ...(init?.signal ? [init.signal] : []),
        ]),
      }),
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink),
          }),
        }),
      }),
    ],
  });
  return { client, socket };
}

const authorizedFetch: typeof fetch = async (input, init) => {
  const used = await accessToken();
  const response = await send(input, init, used);
  if (response.status !== 401 || used === undefined) return response;
  const next = await accessToken(used);
  return next === undefined ? response : send(input, init, next);
};

function send(input: RequestInfo | URL, init: RequestInit | undefined, token: string | undefined) {
  const headers = new Headers(init?.headers);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  return fetch(input, { ...init, headers });
}

/** Outside GraphQL, in development: the same token, the same care. */
export const authorized = authorizedFetch;
