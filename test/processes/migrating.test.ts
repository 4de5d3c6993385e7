import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { startApiProcess } from "../support/api-process.ts";
import type { TestDatabase } from "../support/database.ts";
import { withMigration } from "../support/next-migration.ts";

let database: TestDatabase;
let url: string;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ database, url, close } = await startApiProcess({ RATE_LIMIT_FACTOR: "100000" }));
}, 60_000);
afterAll(() => close());

// biome-ignore lint/suspicious/noExplicitAny: shaped by the query
async function graphql(query: string, token?: string): Promise<{ data: any; errors?: unknown }> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as { data: unknown; errors?: unknown };
}

/** All that a release may do without hurting the API that still runs. */
const COMPATIBLE = `
  alter table app_public.items add column colour text not null default 'red';
  alter table app_public.users add column nickname text;
  create index items_colour_idx on app_public.items (colour);
  create table app_public.badges (
    id int generated always as identity primary key,
    user_id int not null references app_public.users on delete cascade,
    title text not null
  );
  alter table app_public.badges enable row level security;
  create index badges_user_id_idx on app_public.badges (user_id);
  create policy select_own on app_public.badges for select to :DATABASE_USER
    using (user_id = (select app_public.current_user_id()));
  grant select on app_public.badges to :DATABASE_USER;
  grant insert (colour) on app_public.items to :DATABASE_USER;
  grant update (colour) on app_public.items to :DATABASE_USER;
  comment on table app_public.items is E'@live\\nSomething that a user keeps.';
  update app_public.items set colour = 'gold' where id % 2 = 0;
  select pg_sleep(0.5);
`;

it("the API of before answers every request while a compatible migration runs, and after it", {
  timeout: 60_000,
}, async () => {
  const failed: unknown[] = [];
  let asked = 0;
  let isOver = false;
  async function client(n: number): Promise<void> {
    const { data } = await graphql(
      `mutation { signUp(input: {email: "p${n}@example.com", password: "correct horse battery", firstName: "P"}) { tokens { accessToken } } }`,
    );
    const token = data.signUp.tokens.accessToken as string;
    while (!isOver) {
      const answers = [
        await graphql(
          `mutation { createItem(input: {item: {title: "T"}}) { item { id user { firstName } } } }`,
          token,
        ),
        await graphql("{ me { id email items(first: 3) { nodes { title data } } } }", token),
        await graphql(
          `mutation { updateMe(input: {patch: {lastName: "L"}}) { user { lastName } } }`,
          token,
        ),
      ];
      asked += answers.length;
      failed.push(...answers.filter(({ errors }) => errors));
    }
  }
  const clients = Promise.all([1, 2, 3, 4].map(client));
  const { migrationsFolder, remove } = await withMigration(COMPATIBLE);
  await delay(1000);
  await migrateDatabase({
    databaseUrl: database.ownerUrl,
    authenticatorPassword: undefined,
    logger: pino({ level: "silent" }),
    migrationsFolder,
  });
  const atTheEnd = asked;
  await delay(1000);
  isOver = true;
  await clients;
  await remove();
  expect(asked).toBeGreaterThan(atTheEnd);
  expect(failed).toEqual([]);
  const { rows } = await database.owner.query("select colour from app_public.items limit 1");
  expect(rows).toHaveLength(1);
});
