import pg from "pg";
import type { TestDatabase } from "./database.ts";

/** Who acts: nobody, a user by id, or an operator by id. */
export type Actor = "anonymous" | { user: number } | { operator: number };

export interface Act {
  // biome-ignore lint/suspicious/noExplicitAny: rows are whatever the statement selects
  query(text: string, values?: unknown[]): Promise<pg.QueryResult<any>>;
}

/**
 * Does something in one transaction as the API would for this actor: connected as the
 * authenticator, with role and claims set locally. Rolled back, unless `commit` is asked for.
 */
export async function as<T>(
  database: TestDatabase,
  actor: Actor,
  act: (client: Act) => Promise<T>,
  options: { commit?: boolean; sessionId?: number } = {},
): Promise<T> {
  const client = new pg.Client({ connectionString: database.authenticatorUrl });
  await client.connect();
  try {
    await client.query("begin");
    const { role, userId } = settingsOf(actor);
    await client.query(
      `select set_config('role', $1, true), set_config('jwt.claims.user_id', $2, true),
        set_config('jwt.claims.session_id', $3, true)`,
      [role, userId, String(options.sessionId ?? "")],
    );
    const result = await act(client);
    await client.query(options.commit ? "commit" : "rollback");
    return result;
  } finally {
    await client.end();
  }
}

function settingsOf(actor: Actor): { role: string; userId: string } {
  if (actor === "anonymous") return { role: "howdah_anonymous", userId: "" };
  return "user" in actor
    ? { role: "howdah_user", userId: String(actor.user) }
    : { role: "howdah_operator", userId: String(actor.operator) };
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
