import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const { asUser, asAnonymous, asOwner, createUser, expectDenied } = useKit();
let owner: number;
let stranger: number;
let itemId: number;

beforeAll(async () => {
  owner = await createUser();
  stranger = await createUser();
  const { rows } = await asOwner(
    "insert into app_public.items (user_id, title) values ($1, 'Saddle') returning id",
    [owner],
  );
  itemId = rows[0].id;
});

const READ = "select id from app_public.items";

describe("items", () => {
  it("its owner reads an item", async () => {
    expect((await asUser(owner, READ)).rows).toEqual([{ id: itemId }]);
  });

  it("a stranger sees no item of somebody else", () =>
    expectDenied(asUser(stranger, READ), "no rows"));

  it("nobody may read items", () => expectDenied(asAnonymous(READ), "permission denied"));

  it("an item without claims is nobody's, and that is no cast error", () =>
    expectDenied(
      asUser(owner, async (db) => {
        await db.query("select set_config('jwt.claims.user_id', '', true)");
        await db.query(READ);
      }),
      "no rows",
    ));

  it("its owner changes and deletes an item", async () => {
    const changed = await asUser(
      owner,
      "update app_public.items set title = 'Reins' returning title",
    );
    expect(changed.rows).toEqual([{ title: "Reins" }]);
    expect((await asUser(owner, "delete from app_public.items")).rowCount).toBe(1);
  });

  it.each(["update app_public.items set title = 'Mine'", "delete from app_public.items"])(
    "a stranger does nothing to somebody else's by %s",
    (statement) => expectDenied(asUser(stranger, statement, [], { commit: true }), "no rows"),
  );

  it("a new item belongs to who creates it", async () => {
    const { rows } = await asUser(
      stranger,
      "insert into app_public.items (title) values ('Rope') returning user_id",
    );
    expect(rows).toEqual([{ user_id: stranger }]);
  });

  it.each([
    ["user_id", "current_setting('jwt.claims.user_id')::int"],
    ["created_at", "now()"],
    ["updated_at", "now()"],
  ])("the column %s of an item cannot be set", async (column, value) => {
    await expectDenied(
      asUser(owner, `insert into app_public.items (title, ${column}) values ('x', ${value})`),
      "permission denied",
    );
    await expectDenied(
      asUser(owner, `update app_public.items set ${column} = ${value}`),
      "permission denied",
    );
  });

  it.each([
    ["an empty title", "title", "''"],
    ["a title of 201 characters", "title", "repeat('x', 201)"],
    ["a description of 10,001 characters", "description", "repeat('x', 10001)"],
    ["data over 64 KiB", "data", "to_jsonb(repeat('x', 65536))"],
  ])("%s is refused", async (_what, column, value) => {
    await expect(
      asUser(owner, `update app_public.items set ${column} = ${value}`),
    ).rejects.toMatchObject({ code: "23514" });
  });

  it("updated_at moves with a change and created_at stays", async () => {
    const before = await asOwner(
      "select created_at, updated_at from app_public.items where id = $1",
      [itemId],
    );
    const { rows } = await asUser(
      owner,
      "update app_public.items set is_active = false returning created_at, updated_at",
    );
    expect(rows[0].created_at).toEqual(before.rows[0].created_at);
    expect(rows[0].updated_at.getTime()).toBeGreaterThan(before.rows[0].updated_at.getTime());
  });
});
