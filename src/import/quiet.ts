import type { ClientBase } from "pg";

interface Trigger {
  table: string;
  name: string;
  /** pg_trigger.tgenabled: O, R or A. */
  enabled: string;
}

const ENABLE: Readonly<Record<string, string>> = { R: "enable replica", A: "enable always" };

/**
 * Keeps others from writing to the tables until the transaction ends, and their after triggers from
 * running: nobody is to be told, mailed or pushed what happened years ago, neither by Howdah's triggers nor
 * by those of your own. Constraints and before triggers stay. Returns what turns the triggers on again.
 */
export async function quieten(
  target: ClientBase,
  tables: readonly string[],
): Promise<() => Promise<void>> {
  await target.query(`lock table ${tables.join(", ")} in share row exclusive mode`);
  const { rows: triggers } = await target.query<Trigger>(
    `select t.tgrelid::regclass::text as table, quote_ident(t.tgname) as name, t.tgenabled as enabled
     from pg_trigger t
     where t.tgrelid = any ($1::regclass[]) and not t.tgisinternal and t.tgenabled <> 'D'
       and t.tgtype & 2 = 0`,
    [tables],
  );
  for (const { table, name } of triggers) {
    await target.query(`alter table ${table} disable trigger ${name}`);
  }
  return async () => {
    for (const { table, name, enabled } of triggers) {
      await target.query(`alter table ${table} ${ENABLE[enabled] ?? "enable"} trigger ${name}`);
    }
  };
}
