import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let known: string;
const UNKNOWN = "nobody@example.com";

beforeAll(async () => {
  api = await startTestApi();
  known = (await api.signUp("somebody@example.com")).email;
});
afterAll(() => api.stop());

const logIn = (identifier: string) =>
  api.graphql(
    `mutation { logIn(input: {identifier: "${identifier}", password: "wrong password"}) { tokens { userId } } }`,
  );

// That the time is the same as well is measured by `npm run bench -- enumeration`.
describe("no enumeration", () => {
  it("the same body, status and headers for a known and an unknown identifier", async () => {
    const answer = async (mutation: string) => {
      const response = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query: `mutation { ${mutation} }` }),
      });
      const headers = Object.fromEntries(response.headers);
      return {
        status: response.status,
        headers: { ...headers, date: "", "x-request-id": "" },
        body: await response.text(),
      };
    };
    for (const mutation of [
      (identifier: string) =>
        `logIn(input: {identifier: "${identifier}", password: "wrong password"}) { tokens { userId } }`,
      (identifier: string) =>
        `requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId }`,
    ]) {
      expect(await answer(mutation(known))).toEqual(await answer(mutation(UNKNOWN)));
    }
  });

  it("logIn of a user without a password: the same answer, and no password fits", async () => {
    const { email, userId } = await api.signUp();
    await api.database.owner.query(
      "update app_private.user_secrets set password_hash = null where user_id = $1",
      [userId],
    );
    for (const password of ["", PASSWORD, "nobody has this password"]) {
      const { errors } = await api.graphql(
        `mutation { logIn(input: {identifier: "${email}", password: "${password}"}) { tokens { userId } } }`,
      );
      expect(errors).toEqual((await logIn(UNKNOWN)).errors);
    }
  });
});
