import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, createUser } from "../support/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let owner: number;
let stranger: number;
let itemId: number;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = await createUser(database);
  stranger = await createUser(database);
  const { rows } = await database.owner.query(
    "insert into app_public.items (user_id, title) values ($1, 'Saddle') returning id",
    [owner],
  );
  itemId = rows[0].id;
});
afterAll(() => database.drop());

/** The look as owner of the database that proves that there was something to deny. */
async function title(): Promise<string> {
  const { rows } = await database.owner.query("select title from app_public.items where id = $1", [
    itemId,
  ]);
  return rows[0]?.title;
}

describe("items", () => {
  it("its owner reads an item", async () => {
    const { rows } = await as(database, { user: owner }, (db) =>
      db.query("select id from app_public.items"),
    );
    expect(rows).toEqual([{ id: itemId }]);
  });

  it("a stranger sees no item of somebody else", async () => {
    const { rows } = await as(database, { user: stranger }, (db) =>
      db.query("select id from app_public.items"),
    );
    expect(rows).toEqual([]);
    expect(await title()).toBe("Saddle");
  });

  it("nobody may read items", async () => {
    await expect(
      as(database, "anonymous", (db) => db.query("select id from app_public.items")),
    ).rejects.toMatchObject({ code: "42501" });
  });

  it("an item without claims is nobody's, and that is no cast error", async () => {
    const { rows } = await as(database, { user: owner }, async (db) => {
      await db.query("select set_config('jwt.claims.user_id', '', true)");
      return db.query("select id from app_public.items");
    });
    expect(rows).toEqual([]);
    expect(await title()).toBe("Saddle");
  });

  it("its owner changes and deletes an item", async () => {
    const changed = await as(database, { user: owner }, (db) =>
      db.query("update app_public.items set title = 'Reins' returning title"),
    );
    expect(changed.rows).toEqual([{ title: "Reins" }]);
    const deleted = await as(database, { user: owner }, (db) =>
      db.query("delete from app_public.items"),
    );
    expect(deleted.rowCount).toBe(1);
  });

  it("a stranger changes and deletes nothing of somebody else", async () => {
    const changed = await as(database, { user: stranger }, (db) =>
      db.query("update app_public.items set title = 'Mine'"),
    );
    expect(changed.rowCount).toBe(0);
    const deleted = await as(
      database,
      { user: stranger },
      (db) => db.query("delete from app_public.items"),
      { commit: true },
    );
    expect(deleted.rowCount).toBe(0);
    expect(await title()).toBe("Saddle");
  });

  it("a new item belongs to who creates it", async () => {
    const { rows } = await as(database, { user: stranger }, (db) =>
      db.query("insert into app_public.items (title) values ('Rope') returning user_id"),
    );
    expect(rows).toEqual([{ user_id: stranger }]);
  });

  it.each([
    ["user_id", "1"],
    ["created_at", "now()"],
    ["updated_at", "now()"],
  ])("the column %s of an item cannot be set", async (column, value) => {
    await expect(
      as(database, { user: owner }, (db) =>
        db.query(`insert into app_public.items (title, ${column}) values ('x', ${value})`),
      ),
    ).rejects.toMatchObject({ code: "42501" });
    await expect(
      as(database, { user: owner }, (db) =>
        db.query(`update app_public.items set ${column} = ${value}`),
      ),
    ).rejects.toMatchObject({ code: "42501" });
  });

  it.each([
    ["an empty title", "title", "''"],
    ["a title of 201 characters", "title", "repeat('x', 201)"],
    ["a description of 10,001 characters", "description", "repeat('x', 10001)"],
    ["data over 64 KiB", "data", "to_jsonb(repeat('x', 65536))"],
  ])("%s is refused", async (_what, column, value) => {
    await expect(
      as(database, { user: owner }, (db) =>
        db.query(`update app_public.items set ${column} = ${value}`),
      ),
    ).rejects.toMatchObject({ code: "23514" });
  });

  it("updated_at moves with a change and created_at stays", async () => {
    const before = await database.owner.query(
      "select created_at, updated_at from app_public.items where id = $1",
      [itemId],
    );
    const { rows } = await as(database, { user: owner }, (db) =>
      db.query("update app_public.items set is_active = false returning created_at, updated_at"),
    );
    expect(rows[0].created_at).toEqual(before.rows[0].created_at);
    expect(rows[0].updated_at.getTime()).toBeGreaterThan(before.rows[0].updated_at.getTime());
  });
});
