import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

describe("users", () => {
  it("are found by e-mail whatever its case, as they log in", async () => {
    const operator = await api.signUpOperator();
    await api.signUp("Mixed.Case@Example.com");
    const find = async (filter: string) => {
      const { data, errors } = await api.graphql(
        `{ users(filter: {email: {${filter}}}) { nodes { email } } }`,
        { token: operator.token },
      );
      expect(errors).toEqual([]);
      return data.users.nodes.map(({ email }: { email: string }) => email);
    };
    const found = ["Mixed.Case@Example.com"];
    expect(await find('equalTo: "mixed.case@example.COM"')).toEqual(found);
    expect(await find('equalToInsensitive: "mixed.case@example.COM"')).toEqual(found);
    expect(await find('in: ["MIXED.CASE@EXAMPLE.COM", "nobody@example.com"]')).toEqual(found);
    expect(await find('startsWith: "mixed.case"')).toEqual(found);
    expect(await find('includes: "CASE@EX"')).toEqual(found);
    expect(await find('notEqualTo: "mixed.case@example.com"')).not.toContain(found[0]);
  });
});

describe("me and updateMe", () => {
  it("me is null for nobody", async () => {
    expect(await api.graphql("{ me { id } }")).toMatchObject({ status: 200, data: { me: null } });
  });

  it("changes what is given, empties what is null, and keeps the rest", async () => {
    const { token } = await api.signUp();
    const update = (patch: object) =>
      api.graphql(
        `mutation ($input: UpdateMeInput!) {
          updateMe(input: $input) { user { firstName lastName picture timezone } }
        }`,
        { token, variables: { input: { patch } } },
      );
    const first = await update({ lastName: "Ng", picture: "https://example.com/a.png" });
    expect(first.data.updateMe.user).toEqual({
      firstName: "Person",
      lastName: "Ng",
      picture: "https://example.com/a.png",
      timezone: "UTC",
    });
    const second = await update({ picture: null, timezone: "Europe/Berlin" });
    expect(second.data.updateMe.user).toEqual({
      firstName: "Person",
      lastName: "Ng",
      picture: null,
      timezone: "Europe/Berlin",
    });
    const third = await update({ firstName: null });
    expect(third.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "firstName",
    });
    const fourth = await update({ picture: "javascript:alert(1)" });
    expect(fourth.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "picture",
    });
  });

  it.each(["id", "emailVerified", "phoneVerified", "isDeleted", "deletedAt", "createdAt"])(
    "the input of updateMe has no field %s",
    async (field) => {
      const { token } = await api.signUp();
      const { status, errors } = await api.graphql(
        `mutation { updateMe(input: {patch: {${field}: null}}) { user { id } } }`,
        { token },
      );
      expect(status).toBe(400);
      expect(errors[0]?.message).toContain(`Field "${field}" is not defined`);
    },
  );

  it("a user sees themself alone among the users, an operator all", async () => {
    const user = await api.signUp();
    const other = await api.signUp();
    const operator = await api.signUpOperator();
    const mine = await api.graphql(
      `{ users { nodes { id } totalCount } user(id: ${other.userId}) { id } }`,
      { token: user.token },
    );
    expect(mine.data).toEqual({
      users: { nodes: [{ id: user.userId }], totalCount: 1 },
      user: null,
    });
    const all = await api.graphql(`{ user(id: ${other.userId}) { email } }`, {
      token: operator.token,
    });
    expect(all.data.user.email).toBe(other.email);
  });

  it("an operator finds a user by e-mail address, whatever its case", async () => {
    const { email, userId } = await api.signUp();
    const operator = await api.signUpOperator();
    const { data } = await api.graphql(
      `{ users(filter: {email: {equalToInsensitive: "${email.toUpperCase()}"}}) { nodes { id } } }`,
      { token: operator.token },
    );
    expect(data.users.nodes).toEqual([{ id: userId }]);
  });
});
