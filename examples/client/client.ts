import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { createClient as createSocketClient, type Client as SocketClient } from "graphql-ws";
import {
  LogInDocument,
  type LogInInput,
  RefreshTokensDocument,
  SignUpDocument,
  type SignUpInput,
  type TokensFragment,
} from "./generated.ts";

/** What the server answers instead of data: `code` says which, docs/error-codes.md says what to do. */
export class GraphQLRequestError extends Error {
  override name = "GraphQLRequestError";
  readonly code: string;
  readonly field: string | undefined;
  readonly retryAfter: number | undefined;

  constructor([first]: ServerError[]) {
    super(first?.message ?? "The server gave no answer.");
    this.code = first?.extensions?.code ?? "INTERNAL";
    this.field = first?.extensions?.field;
    this.retryAfter = first?.extensions?.retryAfter;
  }
}

interface ServerError {
  message: string;
  extensions?: { code?: string; field?: string; retryAfter?: number };
}

export interface ClientOptions {
  /** Such as https://api.example.com/graphql */
  url: string;
  /** Tokens of the last time; where to keep them is the app's business (Keychain, cookie of the app's own server). */
  tokens?: Tokens | undefined;
  /** Called with new tokens, and with undefined when the session has ended. */
  onTokens?: (tokens: Tokens | undefined) => void;
  /** Node.js before 22 has no WebSocket of its own. */
  webSocketImpl?: unknown;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** Refreshed so long before its end, milliseconds, that no request is under way when it comes. */
const EARLY = 30_000;

/** A client of one session. */
export function createClient(options: ClientOptions) {
  const { url, onTokens } = options;
  let tokens = options.tokens;
  let refreshing: Promise<void> | undefined;
  let socket: SocketClient | undefined;
  /** Why the session has ended; nobody is connected as somebody else, or as nobody, because of it. */
  let ended: unknown;

  function keep(next: Tokens | undefined): void {
    tokens = next;
    onTokens?.(next);
  }

  function fresh({ accessToken, refreshToken, expiresIn }: TokensFragment): Tokens {
    return {
      accessToken: accessToken as string,
      refreshToken: refreshToken as string,
      expiresAt: Date.now() + (expiresIn as number) * 1000,
    };
  }

  function begin(session: TokensFragment): void {
    ended = undefined;
    keep(fresh(session));
  }

  async function post<TData, TVariables>(
    document: TypedDocumentNode<TData, TVariables>,
    variables: TVariables,
    accessToken?: string,
  ): Promise<TData> {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json",
        ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
      },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const { data, errors } = (await response.json()) as { data?: TData; errors?: ServerError[] };
    if (errors?.length || data === undefined) throw new GraphQLRequestError(errors ?? []);
    return data;
  }

  /** One at a time: requests that find an old token at once wait for the same refresh. */
  function refresh(): Promise<void> {
    refreshing ??= (async () => {
      if (!tokens) return;
      try {
        const { refreshTokens } = await post(RefreshTokensDocument, {
          input: { refreshToken: tokens.refreshToken },
        });
        keep(fresh(refreshTokens?.tokens as TokensFragment));
      } catch (error) {
        // A network that is away ends no session: the next request tries again.
        if (
          error instanceof GraphQLRequestError &&
          ["UNAUTHENTICATED", "SESSION_REVOKED"].includes(error.code)
        ) {
          ended = error;
          keep(undefined);
        }
        throw error;
      }
    })().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  async function accessToken(): Promise<string | undefined> {
    if (tokens && tokens.expiresAt - EARLY < Date.now()) await refresh();
    return tokens?.accessToken;
  }

  async function request<TData, TVariables>(
    document: TypedDocumentNode<TData, TVariables>,
    variables: TVariables,
  ): Promise<TData> {
    const used = await accessToken();
    try {
      return await post(document, variables, used);
    } catch (error) {
      // The clocks differ, or the token has ended early: once more with another.
      if (!(error instanceof GraphQLRequestError) || error.code !== "UNAUTHENTICATED" || !used)
        throw error;
      if (tokens?.accessToken === used) await refresh();
      return post(document, variables, tokens?.accessToken);
    }
  }

  /** One socket for all subscriptions; it connects again by itself, each time with a token that is good. */
  function connection(): SocketClient {
    socket ??= createSocketClient({
      url: url.replace(/^http/, "ws"),
      ...(options.webSocketImpl === undefined ? {} : { webSocketImpl: options.webSocketImpl }),
      retryAttempts: Number.POSITIVE_INFINITY,
      shouldRetry: () => ended === undefined,
      on: {
        closed(event) {
          // The token has expired, and the next one is good; or the session has ended, and refresh() says so.
          const isForbidden = (event as { code?: number }).code === 4403;
          if (isForbidden && tokens) tokens = { ...tokens, expiresAt: 0 };
        },
      },
      connectionParams: async () => {
        const token = await accessToken();
        if (ended !== undefined) throw ended;
        return token === undefined ? {} : { authorization: `Bearer ${token}` };
      },
    });
    return socket;
  }

  return {
    async signUp(input: SignUpInput): Promise<void> {
      const { signUp } = await post(SignUpDocument, { input });
      if (signUp?.tokens) begin(signUp.tokens);
    },
    async logIn(input: LogInInput): Promise<void> {
      const { logIn } = await post(LogInDocument, { input });
      begin(logIn?.tokens as TokensFragment);
    },
    request,
    /**
     * Subscribes until told otherwise. `onGap` is called whenever events may have been missed, the
     * first time included: fetch what is shown then. The document has to ask for `initialEvent: true`,
     * because only once that has come is it known that what happens from then on is told.
     */
    subscribe<TData, TVariables extends Record<string, unknown>>(
      document: TypedDocumentNode<TData, TVariables>,
      variables: TVariables,
      handlers: {
        onData: (data: TData) => void;
        onGap: () => void;
        onEnd?: (error: unknown) => void;
      },
    ): () => void {
      let stop: (() => void) | undefined;
      let stopped = false;
      let unheard = true;
      const start = (): void => {
        unheard = true;
        stop = connection().subscribe<TData>(
          { query: print(document), variables },
          {
            next({ data, errors }) {
              if (errors?.length) return again(errors);
              const isFirst = unheard;
              unheard = false;
              if (isFirst) handlers.onGap();
              if (data) handlers.onData(data);
            },
            error: again,
            complete() {
              // By us, or by a server that goes away: the socket sees to the latter.
            },
          },
        );
      };
      const again = (error: unknown): void => {
        stop?.();
        if (stopped) return;
        if (ended !== undefined) {
          handlers.onEnd?.(ended);
          return;
        }
        const [first] = Array.isArray(error) ? (error as ServerError[]) : [];
        if (first?.extensions?.code !== "UNAVAILABLE") {
          handlers.onEnd?.(error);
          return;
        }
        setTimeout(start, 500 + Math.random() * 500);
      };
      const forget = connection().on("connected", () => {
        unheard = true;
      });
      start();
      return () => {
        stopped = true;
        forget();
        stop?.();
      };
    },
    tokens: () => tokens,
    async close(): Promise<void> {
      await socket?.dispose();
    },
  };
}
