import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { watchCurrentMigration } from "../../src/database/watch.ts";
import { createTestDatabase } from "../support/database.ts";

it("a save of current.sql gives a table with @live the triggers that tell of its changes", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  await database.owner.query(`
    create table app_public.sightings (id int generated always as identity primary key);
    comment on table app_public.sightings is E'@live\\nSeen.'`);
  const watcher = await watchCurrentMigration(database.ownerUrl, pino({ level: "silent" }));
  watcher.stop();
  const { rowCount } = await database.owner.query(
    "select from pg_trigger where tgrelid = 'app_public.sightings'::regclass",
  );
  expect(rowCount).toBe(3);
});
