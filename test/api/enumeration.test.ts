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

const SAMPLES = 200;
const logIn = (identifier: string) =>
  api.graphql(
    `mutation { logIn(input: {identifier: "${identifier}", password: "wrong password"}) { tokens { userId } } }`,
  );
const requestPasswordReset = (identifier: string) =>
  api.graphql(
    `mutation { requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId } }`,
  );

/** Milliseconds that an answer takes. */
async function time(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

/** Medians of both, taken in turns, so that what else this machine does weighs on both alike. */
async function medians(act: (identifier: string) => Promise<unknown>) {
  const times: Record<string, number[]> = { [known]: [], [UNKNOWN]: [] };
  for (let i = 0; i < 2 * SAMPLES; i += 1) {
    const turn = i % 4 === 0 || i % 4 === 3 ? known : UNKNOWN;
    times[turn]?.push(await time(() => act(turn)));
  }
  return [median(times[known] as number[]), median(times[UNKNOWN] as number[])] as const;
}

describe("no enumeration", () => {
  it.each([
    ["logIn", logIn],
    ["requestPasswordReset", requestPasswordReset],
  ])(
    "%s takes the same time (median within 10 % over 200 samples) for a known and an unknown identifier",
    // The first answers make plans and open connections; and a busy machine may have a bad moment.
    { timeout: 120_000, retry: 2 },
    async (_name, act) => {
      for (const identifier of [known, UNKNOWN]) {
        for (let i = 0; i < 10; i += 1) await act(identifier);
      }
      const [ofKnown, ofUnknown] = await medians(act);
      expect(Math.abs(ofKnown - ofUnknown) / Math.max(ofKnown, ofUnknown)).toBeLessThan(0.1);
    },
  );

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
        headers: { ...headers, date: "" },
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
