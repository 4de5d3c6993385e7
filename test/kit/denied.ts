import { type Actor, type Attempt, attemptOf } from "./actors.ts";

/**
 * How an actor was kept out: `permission denied` by a missing grant, `row-level security` by a
 * policy's check of a new row, `no rows` by policies that showed none of the rows there are.
 */
export type Denial = "permission denied" | "row-level security" | "no rows";

/** Nobody was kept out, or it proves nothing that they were. */
export class NotDeniedError extends Error {
  override name = "NotDeniedError";
}

/**
 * Passes where grants or policies kept the actor out. Fails where the statement touched rows, where
 * it failed for another reason, and where it would have come to nothing anyway: it is tried again as
 * the owner, with the same claims, and rolled back.
 * @param promise what asUser(), asAnonymous() or asOperator() returned, not awaited
 * @param how the one way that will do; else any
 */
export async function expectDenied(promise: Promise<unknown>, how?: Denial): Promise<void> {
  const attempt = attemptOf(promise);
  if (!attempt) {
    Promise.resolve(promise).catch(() => {});
    throw new TypeError(
      "expectDenied() takes what asUser(), asAnonymous() or asOperator() returns, without await.",
    );
  }
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const denial = error === undefined ? silentDenial(attempt) : denialOf(error, attempt);
  await lookAgain(attempt, denial);
  if (how !== undefined && denial !== how) {
    throw new NotDeniedError(`${who(attempt)} was denied by ${denial}, not by ${how}.`);
  }
}

/** By where PostgreSQL raised it: its messages may be in any language. */
function denialOf(error: unknown, attempt: Attempt): Denial {
  const { code, routine = "", message } = error as Error & { code?: string; routine?: string };
  if (code === "42501" && /^aclcheck_error/.test(routine)) return "permission denied";
  if (code === "42501" && routine === "ExecWithCheckOptions") return "row-level security";
  throw new NotDeniedError(
    `${who(attempt)} was not denied, it failed for another reason: ${message}`,
    { cause: error },
  );
}

function silentDenial(attempt: Attempt): Denial {
  const { rowCount } = attempt;
  if (rowCount === 0) return "no rows";
  const what = rowCount == null ? "succeeded" : `touched ${rows(rowCount)}`;
  throw new NotDeniedError(`${who(attempt)} was not denied: ${statement(attempt)} ${what}.`);
}

/** What the owner cannot do either was not denied; where no rows were shown, there have to be some. */
async function lookAgain(attempt: Attempt, denial: Denial): Promise<void> {
  const { role: _, ...claims } = attempt.settings;
  const client = await attempt.database.owner.connect();
  let touched: number | null = null;
  try {
    await client.query("begin");
    await client.query("select set_config(key, value, true) from json_each_text($1::json)", [
      JSON.stringify(claims),
    ]);
    for (const { text, values } of attempt.statements) {
      touched = (await client.query(text, values)).rowCount;
    }
  } catch (error) {
    throw new NotDeniedError(
      `This proves nothing: ${statement(attempt)} fails for the owner, too: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    await client.query("rollback");
    client.release();
  }
  if (denial === "no rows" && !touched) {
    throw new NotDeniedError(
      `This proves nothing: ${statement(attempt)} touches no row for the owner, either.`,
    );
  }
}

function statement({ statements }: Attempt): string {
  return `"${statements.at(-1)?.text.replace(/\s+/g, " ").trim() ?? "nothing"}"`;
}

function who({ actor }: { actor: Actor }): string {
  if (actor === "anonymous") return "Nobody (anonymous)";
  return "user" in actor ? `User ${actor.user}` : `Operator ${actor.operator}`;
}

function rows(count: number): string {
  return count === 1 ? "1 row" : `${count} rows`;
}
