import pg from "pg";
import { identification, type RequestSettings } from "../../src/database/request-settings.ts";
import type { TestDatabase } from "../support/database.ts";

/** Who acts: nobody, a user by id, or an operator by id. */
export type Actor = "anonymous" | { user: number } | { operator: number };

// biome-ignore lint/suspicious/noExplicitAny: rows are whatever the statement selects
export type Result = pg.QueryResult<any>;

/** What an actor says: a statement, or several in one transaction. */
export interface Acting {
  query(text: string, values?: unknown[]): Promise<Result>;
}

export interface ActOptions {
  /** Keeps what was done; else all of it is rolled back. */
  commit?: boolean;
  /** The session that the access token would name; it has to live, as for the API. */
  sessionId?: number;
}

/** What was tried, so that it can be tried again as the owner. */
export interface Attempt {
  database: TestDatabase;
  actor: Actor;
  settings: RequestSettings;
  statements: { text: string; values: unknown[] }[];
  /** Of the last statement; undefined until it is through, null where it has none. */
  rowCount: number | null | undefined;
}

const attempts = new WeakMap<Promise<unknown>, Attempt>();

/** What is behind a promise of `as`. */
export function attemptOf(promise: Promise<unknown>): Attempt | undefined {
  return attempts.get(promise);
}

/**
 * Does something in one transaction as the API would for this actor: connected as the
 * authenticator, with role and claims set locally by the same statement. Rolled back, unless
 * `commit` is asked for.
 */
export function as<T>(
  database: TestDatabase,
  actor: Actor,
  act: (client: Acting) => Promise<T>,
  options: ActOptions = {},
): Promise<T> {
  const settings = settingsOf(actor, options.sessionId);
  const attempt: Attempt = { database, actor, settings, statements: [], rowCount: undefined };
  const promise = attemptIt(attempt, act, options.commit ?? false);
  attempts.set(promise, attempt);
  return promise;
}

async function attemptIt<T>(
  attempt: Attempt,
  act: (client: Acting) => Promise<T>,
  commit: boolean,
): Promise<T> {
  const client = new pg.Client({ connectionString: attempt.database.authenticatorUrl });
  await client.connect();
  try {
    await client.query("begin");
    await client.query(identification(attempt.settings));
    const result = await act({
      async query(text, values = []) {
        attempt.statements.push({ text, values });
        attempt.rowCount = undefined;
        const answer: Result = await client.query(text, values);
        attempt.rowCount = answer.rowCount;
        return answer;
      },
    });
    await client.query(commit ? "commit" : "rollback");
    return result;
  } finally {
    await client.end();
  }
}

/** As a request of this actor has them: src/auth/access-tokens.ts, src/graphql/request-context.ts. */
function settingsOf(actor: Actor, sessionId: number | undefined): RequestSettings {
  const of = (role: string, userId: number | string) => ({
    role,
    "jwt.claims.user_id": String(userId),
    "jwt.claims.session_id": String(sessionId ?? ""),
    "request.ip": "127.0.0.1",
    "request.user_agent": "test",
    // What is not about limits is not to meet them.
    "request.rate_limit_factor": "100000",
  });
  if (actor === "anonymous") return of("howdah_anonymous", "");
  return "user" in actor ? of("howdah_user", actor.user) : of("howdah_operator", actor.operator);
}

/** A user straight from SQL, for tests that are not about signing up. */
export async function createUser(
  database: TestDatabase,
  email = `user-${Math.random().toString(36).slice(2)}@example.com`,
): Promise<number> {
  const { rows } = await database.owner.query<{ id: number }>(
    "insert into app_public.users (first_name, email) values ('Test', $1) returning id",
    [email],
  );
  return rows[0]?.id as number;
}

/** A user who is an operator. */
export async function createOperator(database: TestDatabase): Promise<number> {
  const id = await createUser(database);
  await database.owner.query("insert into app_private.operators (user_id) values ($1)", [id]);
  return id;
}
