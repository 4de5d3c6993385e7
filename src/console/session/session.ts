import { stringifyDocument, type TypedDocumentNode } from "urql";
import {
  LogInDocument,
  LogOutDocument,
  RefreshTokensDocument,
  type TokensFragment,
} from "../graphql/generated.ts";
import { type ServerError, toProblem } from "../graphql/problem.ts";

/** Who is logged in here, in all tabs of this browser. */
export interface Session {
  accessToken: string;
  refreshToken: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

const KEY = "howdah.session";
/** Refreshed so long before its end, milliseconds, that no request is under way when it comes. */
const EARLY = 30_000;
/** Who waits for tokens holds up all tabs: a connection that is silently dead is given up, milliseconds. */
const PATIENCE = 10_000;

const listeners = new Set<() => void>();
let raw: string | null = localStorage.getItem(KEY);
let session = parse(raw);

/** For useSyncExternalStore: the same object as long as nothing has changed. */
export const currentSession = (): Session | undefined => session;

export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) read();
});

/** What another tab may have written meanwhile. */
function read(): Session | undefined {
  const stored = localStorage.getItem(KEY);
  if (stored !== raw) {
    raw = stored;
    session = parse(stored);
    for (const listener of listeners) listener();
  }
  return session;
}

function write(next: Session | undefined): void {
  if (next) localStorage.setItem(KEY, JSON.stringify(next));
  else localStorage.removeItem(KEY);
  read();
}

function parse(text: string | null): Session | undefined {
  try {
    const value = JSON.parse(text ?? "null") as Partial<Session> | null;
    return typeof value?.refreshToken === "string" ? (value as Session) : undefined;
  } catch {
    return undefined;
  }
}

/** The role that the server has signed for: what to show; what may be done it decides itself. */
export function roleOf({ accessToken }: Session): string | undefined {
  try {
    const part = accessToken.split(".")[1] ?? "";
    const claims = JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/"))) as {
      role?: string;
    };
    return claims.role;
  } catch {
    return undefined;
  }
}

/** @throws {Problem} where the server refuses. */
export async function logIn(identifier: string, password: string): Promise<void> {
  const deviceInfo = "Howdah console";
  const { logIn } = await post(LogInDocument, { input: { identifier, password, deviceInfo } });
  const next = fresh(logIn?.tokens as TokensFragment);
  if (roleOf(next) !== "howdah_operator") {
    await post(LogOutDocument, {}, next.accessToken).catch(() => undefined);
    throw toProblem([
      {
        message: "This account is not an operator’s.",
        extensions: { code: "FORBIDDEN", hint: "Grant it with: npm run howdah -- operator:grant" },
      },
    ]);
  }
  setLeftOpen(false);
  write(next);
}

/** Ends the session here at once, and then on the server: see `isLeftOpen`. */
export async function logOut(): Promise<void> {
  const ended = read();
  write(undefined);
  if (!ended) return;
  // Not beside a refresh, which ends what it has refreshed itself.
  setLeftOpen(!(await alone(() => end(ended))));
}

/** Whether the last log-out did not reach the server: the session goes on there until it runs out. */
export const isLeftOpen = (): boolean => leftOpen;
let leftOpen = false;
function setLeftOpen(value: boolean): void {
  leftOpen = value;
  for (const listener of listeners) listener();
}

/** @returns whether it is over on the server */
async function end({ accessToken, refreshToken }: Session): Promise<boolean> {
  try {
    await post(LogOutDocument, {}, accessToken);
    return true;
  } catch (error) {
    if (!isRefused(error)) return false;
  }
  // This token has run out; the session may not have.
  try {
    const { refreshTokens } = await post(RefreshTokensDocument, { input: { refreshToken } });
    await post(LogOutDocument, {}, fresh(refreshTokens?.tokens as TokensFragment).accessToken);
    return true;
  } catch (error) {
    return isRefused(error);
  }
}

const isRefused = (error: unknown): boolean =>
  ["UNAUTHENTICATED", "SESSION_REVOKED"].includes(toProblem(error).code);

/** A token that is good; refreshed first where `used` is the one that was refused. */
export async function accessToken(used?: string): Promise<string | undefined> {
  const now = read();
  if (!now) return undefined;
  const isGood = now.expiresAt - EARLY > Date.now() && now.accessToken !== used;
  return isGood ? now.accessToken : (await refresh(now.accessToken))?.accessToken;
}

let refreshing: Promise<Session | undefined> | undefined;

/** One at a time, in all tabs together: a refresh token that is used twice ends the session. */
function refresh(used: string): Promise<Session | undefined> {
  refreshing ??= alone(async () => {
    const now = read();
    if (!now || now.accessToken !== used) return now;
    try {
      const { refreshToken } = now;
      const { refreshTokens } = await post(RefreshTokensDocument, { input: { refreshToken } });
      const next = fresh(refreshTokens?.tokens as TokensFragment);
      // Who logged out meanwhile, in whatever tab, stays so.
      if (read()?.refreshToken === refreshToken) write(next);
      else await end(next);
    } catch (error) {
      // A network that is away ends no session: the next request tries again.
      if (!isRefused(error)) throw error;
      if (read()?.refreshToken === now.refreshToken) write(undefined);
    }
    return read();
  }).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

function alone<T>(act: () => Promise<T>): Promise<T> {
  // Only there where the page came over https or from this machine.
  return navigator.locks ? navigator.locks.request(KEY, act) : act();
}

function fresh({ accessToken, refreshToken, expiresIn }: TokensFragment): Session {
  return {
    accessToken: accessToken as string,
    refreshToken: refreshToken as string,
    expiresAt: Date.now() + (expiresIn as number) * 1000,
  };
}

async function post<TData, TVariables>(
  document: TypedDocumentNode<TData, TVariables>,
  variables: TVariables,
  token?: string,
): Promise<TData> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: stringifyDocument(document), variables }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  const { data, errors } = (await response.json()) as { data?: TData; errors?: ServerError[] };
  if (errors?.length || !data) throw toProblem(errors ?? []);
  return data;
}
