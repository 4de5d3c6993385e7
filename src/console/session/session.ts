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
  write(next);
}

/** Ends the session on the server, where it can be reached, and here in any case. */
export async function logOut(): Promise<void> {
  const token = session?.accessToken;
  write(undefined);
  if (token !== undefined) await post(LogOutDocument, {}, token).catch(() => undefined);
}

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
      write(fresh(refreshTokens?.tokens as TokensFragment));
    } catch (error) {
      // A network that is away ends no session: the next request tries again.
      if (["UNAUTHENTICATED", "SESSION_REVOKED"].includes(toProblem(error).code)) write(undefined);
      else throw error;
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
  });
  const { data, errors } = (await response.json()) as { data?: TData; errors?: ServerError[] };
  if (errors?.length || !data) throw toProblem(errors ?? []);
  return data;
}
