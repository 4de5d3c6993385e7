import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finding, type RuleOptions, runRules } from "../../src/rules/run-rules.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

/** From clean to violation to mended, in a transaction that is rolled back. */
export interface RuleCase {
  /** A sentence: what the rule sees. */
  title: string;
  /** What is there before, and is no violation; after NOTES. */
  clean?: string;
  violation: string;
  /** The objects that are found then. */
  finds: string[];
  /** The SQL that mends it; undefined: the SQL that the findings themselves bring. */
  mend?: string;
  options?: RuleOptions;
}

/** A table to which no rule has an objection. */
export const NOTES = `
  -- Whoever builds on this project may have such a table.
  drop table if exists app_public.notes cascade;
  create table app_public.notes (
    id int generated always as identity,
    user_id int not null references app_public.users on delete cascade,
    body text not null,
    constraint notes_pkey primary key (user_id, id)
  );
  alter table app_public.notes enable row level security;
  comment on table app_public.notes is 'A note. Only its author sees it.';
  comment on column app_public.notes.user_id is 'The author.';
  comment on column app_public.notes.body is 'What it says.';
  create policy select_own on app_public.notes for select to howdah_user
    using (user_id = (select app_public.current_user_id()));
  create policy insert_own on app_public.notes for insert to howdah_user
    with check (user_id = (select app_public.current_user_id()));
  grant select on app_public.notes to howdah_user;
  grant insert (body) on app_public.notes to howdah_user;
`;

/** The tests of one rule: each case from clean to violation to mended. */
export function describeRule(rule: string, cases: RuleCase[]): void {
  describe(rule, () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await createTestDatabase();
    });
    afterAll(() => database.drop());

    it.each(cases.map((one) => [one.title, one] as const))("%s", (_title, one) =>
      rolledBack(database, async (client) => {
        const found = async () => findingsOf(rule, client, one.options);
        await client.query(NOTES);
        if (one.clean) await client.query(one.clean);
        expect(await found()).toEqual([]);
        await client.query(one.violation);
        const findings = await found();
        expect(findings.map(({ object }) => object)).toEqual(one.finds);
        await client.query(one.mend ?? findings.map(({ resolution }) => resolution).join("\n"));
        expect(await found()).toEqual([]);
      }),
    );
  });
}

export async function findingsOf(
  rule: string,
  client: pg.ClientBase,
  options?: RuleOptions,
): Promise<Finding[]> {
  return await runRules(client, { ...options, rules: [rule] });
}

export async function rolledBack(
  database: TestDatabase,
  act: (client: pg.ClientBase) => Promise<void>,
): Promise<void> {
  const client = await database.owner.connect();
  try {
    await client.query("begin");
    await act(client);
  } finally {
    await client.query("rollback");
    client.release();
  }
}
