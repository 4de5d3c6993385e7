import type { GraphQLAnswer } from "./api.ts";
import type { TestDatabase } from "./database.ts";

/** What each answer was: `ok`, or the code of its first error. */
export const codes = (answers: Pick<GraphQLAnswer, "errors">[]): string[] =>
  answers.map(({ errors }) => errors[0]?.extensions.code ?? "ok");

/** Lets the attempts of everybody be that much longer ago, and the codes that were sent. */
export async function pass(database: TestDatabase, interval: string): Promise<void> {
  await database.owner.query(
    `update app_private.attempts set last_attempt_at = last_attempt_at - $1::interval,
       blocked_until = blocked_until - $1::interval`,
    [interval],
  );
  await database.owner.query(
    `update app_private.user_tokens
     set created_at = created_at - $1::interval, expires_at = expires_at - $1::interval`,
    [interval],
  );
}

/** As if nobody had tried anything yet. */
export async function forget(database: TestDatabase): Promise<void> {
  await database.owner.query("delete from app_private.attempts");
}
