import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "./kit.ts";

const { asUser, asAnonymous, asOwner, createUser, expectDenied } = useKit();
let ada: number;
let bob: number;

beforeAll(async () => {
  ada = await createUser();
  bob = await createUser();
  await asOwner("insert into app_public.items (user_id, title) values ($1, 'Saddle')", [ada]);
});

const ITEMS = "select id from app_public.items";

describe("expectDenied", () => {
  it("passes where a grant is missing", async () => {
    await expectDenied(asAnonymous(ITEMS), "permission denied");
    await expectDenied(
      asUser(
        ada,
        "insert into app_public.items (title, id) overriding system value values ('x', 9)",
      ),
      "permission denied",
    );
  });

  it("passes where a policy hides the rows that are there", async () => {
    await expectDenied(asUser(bob, "delete from app_public.items"), "no rows");
  });

  it("passes where a policy refuses a new row", async () => {
    await asOwner("grant insert (user_id), update (user_id) on app_public.items to howdah_user");
    await expectDenied(
      asUser(bob, "insert into app_public.items (user_id, title) values ($1, 'x')", [ada]),
      "row-level security",
    );
    await expectDenied(
      asUser(ada, "update app_public.items set user_id = $1", [bob]),
      "row-level security",
    );
    await asOwner("revoke insert (user_id), update (user_id) on app_public.items from howdah_user");
  });

  it("fails where the statement touched rows without a word", async () => {
    await expect(
      expectDenied(asUser(ada, "update app_public.items set title = 'New'")),
    ).rejects.toThrow(
      `User ${ada} was not denied: "update app_public.items set title = 'New'" touched 1 row.`,
    );
  });

  it("fails where there was nothing to see", async () => {
    await expect(expectDenied(asUser(bob, `${ITEMS} where title = 'None'`))).rejects.toThrow(
      `This proves nothing: "${ITEMS} where title = 'None'" touches no row for the owner, either.`,
    );
  });

  it.each([
    [
      "a constraint",
      "update app_public.items set title = ''",
      /another reason: .*items_title_length/,
    ],
    ["a table that is not there", "select from app_public.itmes", /another reason: .*itmes/],
    [
      "a function's own refusal",
      "select set_config('howdah.no', (1 / 0)::text, true)",
      /another reason: division by zero/,
    ],
  ])("fails for %s", async (_what, text, message) => {
    await expect(expectDenied(asUser(ada, text))).rejects.toThrow(message);
  });

  it("fails where it would have failed anyway, had it been allowed", async () => {
    await expect(
      expectDenied(asAnonymous("insert into app_public.items (user_id) values ($1)", [ada])),
    ).rejects.toThrow(/^This proves nothing: .* fails for the owner, too: .*"title"/);
  });

  it("fails where it was denied in another way than expected", async () => {
    await expect(expectDenied(asAnonymous(ITEMS), "no rows")).rejects.toThrow(
      "Nobody (anonymous) was denied by permission denied, not by no rows.",
    );
  });

  it("looks at the last of several statements, and tries all of them again", async () => {
    const last = (text: string) =>
      asUser(bob, async (db) => {
        await db.query("insert into app_public.items (title) values ('Mine')");
        await db.query(text);
      });
    await expectDenied(last("delete from app_public.items where title = 'Saddle'"), "no rows");
    await expect(expectDenied(last("delete from app_public.items"))).rejects.toThrow(
      "touched 1 row",
    );
  });

  it("leaves nothing of the owner's second look", async () => {
    await expectDenied(asUser(bob, "delete from app_public.items"));
    expect((await asOwner(ITEMS)).rowCount).toBe(1);
  });

  it("takes only what an actor does, before it is awaited", async () => {
    await expect(expectDenied(Promise.resolve())).rejects.toThrow("without await");
  });
});
