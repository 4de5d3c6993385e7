import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { createKit, useKit } from "../kit/kit.ts";
import { startTestApi } from "../support/api.ts";

const {
  asUser,
  asAnonymous,
  asOperator,
  asOwner,
  createUser,
  createOperator,
  expectDenied,
  freezeTime,
} = useKit();

describe("docs/testing.md", () => {
  it("shows examples that run here", async () => {
    const page = await readFile("docs/testing.md", "utf8");
    const here = squeezed(await readFile(`test/kit/${basename(import.meta.filename)}`, "utf8"));
    const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) =>
      squeezed(code ?? ""),
    );
    expect(examples.length).toBeGreaterThan(5);
    for (const example of examples) expect(here).toContain(example);
  });
});

/** As it reads, however it is broken into lines. */
function squeezed(code: string): string {
  return code.replace(/\s+/g, "").replace(/,(?=[)\]}])/g, "");
}

describe("the examples", () => {
  it("a stranger sees no item", async () => {
    const ada = await createUser();
    const bob = await createUser();
    await asOwner("insert into app_public.items (user_id, title) values ($1, 'Saddle')", [ada]);

    expect((await asUser(ada, "select title from app_public.items")).rowCount).toBe(1);
    await expectDenied(asUser(bob, "select title from app_public.items"));
    await expectDenied(asAnonymous("select title from app_public.items"));
  });

  it("several statements, kept", async () => {
    const ada = await createUser();

    await asUser(
      ada,
      async (db) => {
        await db.query("insert into app_public.items (title) values ($1)", ["Rope"]);
        await db.query("update app_public.items set is_active = false where title = $1", ["Rope"]);
      },
      { commit: true },
    );
    const { rows } = await asOwner("select is_active from app_public.items where user_id = $1", [
      ada,
    ]);
    expect(rows).toEqual([{ is_active: false }]);
  });

  it("operators", async () => {
    const ada = await createUser();
    const operator = await createOperator();

    const { rows } = await asOperator(operator, "select id from app_public.users where id = $1", [
      ada,
    ]);
    expect(rows).toEqual([{ id: ada }]);
  });

  it("how it was denied", async () => {
    const ada = await createUser();
    const bob = await createUser();
    await asOwner("insert into app_public.items (user_id, title) values ($1, 'Saddle')", [ada]);

    await expectDenied(asAnonymous("select from app_public.items"), "permission denied");
    await expectDenied(asUser(bob, "delete from app_public.items"), "no rows");
  });

  it("other errors", async () => {
    const ada = await createUser();

    await expect(
      asUser(ada, "insert into app_public.items (title) values ('')"),
    ).rejects.toMatchObject({ code: "23514", constraint: "items_title_length" });
  });

  it("time", async () => {
    const ada = await createUser();

    await freezeTime("2030-01-01T00:00:00Z");
    const { rows } = await asUser(
      ada,
      "insert into app_public.items (title) values ('Rocket') returning created_at",
    );
    expect(rows[0].created_at).toEqual(new Date("2030-01-01T00:00:00Z"));
  });

  it("through the API", async () => {
    const api = await startTestApi();
    const kit = createKit(() => api.database);
    const ada = await api.signUp();

    await kit.asUser(ada.userId, "insert into app_public.items (title) values ('Bell')", [], {
      commit: true,
    });
    const { data } = await api.graphql("{ items { nodes { title } } }", { token: ada.token });
    expect(data.items.nodes).toEqual([{ title: "Bell" }]);
    await api.stop();
  });

  it("a token of 15 minutes is refused after 16, without waiting", async () => {
    const api = await startTestApi();
    const kit = createKit(() => api.database);
    const ada = await api.signUp();

    await kit.freezeTime(new Date(Date.now() + 16 * 60 * 1000));
    const { errors } = await api.graphql("{ me { id } }", { token: ada.token });
    expect(errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED" } }]);
    await api.stop();
  });
});
