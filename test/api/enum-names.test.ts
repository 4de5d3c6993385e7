import { afterAll, beforeAll, expect, it } from "vitest";
import { takeSnapshot } from "../../src/development/snapshot.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function schemaWith(...labels: string[]): Promise<string> {
  const values = labels.map((label) => `'${label}'`).join(", ");
  await database.owner.query(`
    drop type if exists app_public.boat_kind cascade;
    create type app_public.boat_kind as enum (${values});
    create or replace function app_public.kind_of_boat() returns app_public.boat_kind
      language sql stable as 'select null::app_public.boat_kind';
    grant execute on function app_public.kind_of_boat to howdah_user;
  `);
  return (await takeSnapshot(database.authenticatorUrl)).schema;
}

it("an enum's labels become names of GraphQL, whatever is in them", async () => {
  const schema = await schemaWith("sail", "motor-boat", "2 oars", "größe");
  const [, values = ""] = /enum BoatKind \{\n([^}]+)\}/.exec(schema) ?? [];
  expect(values.trim().split(/\s+/).sort()).toEqual(["GROSSE", "MOTOR_BOAT", "SAIL", "_2_OARS"]);
});

it("two labels of one name are refused: one of them would be lost", async () => {
  await expect(schemaWith("sail", "Motor", "motor")).rejects.toThrow(
    "The values 'Motor' and 'motor' of enum boat_kind are both MOTOR in the API: alter type",
  );
});
