import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let account: Account;
beforeAll(async () => {
  api = await startTestApi();
  account = await api.signUp("target@example.com");
});
afterAll(() => api.stop());

/** All that account calls could leave behind, except counts of attempts and the security log. */
async function everything(): Promise<unknown> {
  const { rows } = await api.database.owner.query(
    `select
       (select jsonb_agg(u order by id) from app_public.users u) as users,
       (select jsonb_agg(s order by user_id) from app_private.user_secrets s) as secrets,
       (select jsonb_agg(t order by user_id, purpose) from app_private.user_tokens t) as proofs,
       (select jsonb_agg(s order by id) from app_public.sessions s) as sessions,
       (select jsonb_agg(t order by id) from app_private.refresh_tokens t) as refresh_tokens,
       (select jsonb_agg(j order by id) from graphile_worker._private_jobs j) as jobs`,
  );
  return rows[0];
}

/** Mutations with one text each that somebody may fill with anything. */
const FIELDS: Record<string, { field: string; payload?: string; rest?: Record<string, unknown> }> =
  {
    signUp: {
      field: "email",
      payload: "tokens { userId }",
      rest: { password: PASSWORD, firstName: "B" },
    },
    logIn: { field: "identifier", payload: "tokens { userId }", rest: { password: PASSWORD } },
    refreshTokens: { field: "refreshToken", payload: "tokens { userId }" },
    changePassword: { field: "currentPassword", rest: { newPassword: "a whole new password" } },
    resetPassword: { field: "token", rest: { newPassword: "a whole new password" } },
    verifyEmail: { field: "token" },
    verifyPhone: { field: "code" },
    deleteAccount: { field: "password" },
  };

const LONE_SURROGATE = "\ud800";
const NASTY: [string, string][] = [
  ["empty", ""],
  ["blank", "   "],
  ["NUL", "target@example.com\0"],
  ["over-long", "x".repeat(50_000)],
  ["Cyrillic lookalikes", "t\u0430rget\uff20example.com"],
  ["full-width forms", "\uff54\uff41\uff52\uff47\uff45\uff54\uff20example.com"],
  ["SQL", "' or 1=1; drop table app_public.users --"],
  ["a line break", "target@example.com\r\nBcc: other@example.com"],
  ["a lone surrogate", LONE_SURROGATE],
  ["a right-to-left override", "\u202etarget"],
];

function call(name: string, value: unknown, token?: string) {
  const { field, payload, rest } = FIELDS[name] as (typeof FIELDS)[string];
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input!`;
  return api.graphql(
    `mutation ($input: ${type}) { ${name}(input: $input) { ${payload ?? "clientMutationId"} } }`,
    { token, variables: { input: { ...rest, [field]: value } } },
  );
}

describe.each(Object.keys(FIELDS))("%s", (name) => {
  const code = /^(logIn|refreshTokens)$/.test(name) ? "UNAUTHENTICATED" : "BAD_USER_INPUT";

  it.each(NASTY)(
    "with %s is refused by a documented code, and nothing is half done",
    async (_what, value) => {
      const before = await everything();
      const { status, errors } = await call(name, value, account.token);
      // Half a character is refused before it comes to anybody.
      expect(status).toBe(value === LONE_SURROGATE ? 400 : 200);
      expect(errors).toHaveLength(1);
      expect([code, "BAD_USER_INPUT"]).toContain(errors[0]?.extensions.code);
      expect(await everything()).toEqual(before);
    },
  );

  it.each([
    ["a number", 1],
    ["a list", ["a", "b"]],
    ["an object", { set: "x" }],
    ["true", true],
  ])(
    "with %s in place of text is BAD_USER_INPUT, and nothing is half done",
    async (_what, value) => {
      const before = await everything();
      const { status, errors } = await call(name, value, account.token);
      expect([200, 400]).toContain(status);
      expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
      expect(await everything()).toEqual(before);
    },
  );
});

describe("a log-in name that looks like somebody's", () => {
  it.each([
    ["Cyrillic a", "t\u0430rget@example.com"],
    ["full-width", "\uff54arget@example.com"],
    ["a zero-width joiner", "tar\u200dget@example.com"],
    ["a Cyrillic letter in the domain", "target@e\u0445ample.com"],
  ])("with %s is not theirs", async (_what, identifier) => {
    expect((await call("logIn", identifier)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await call("logIn", account.email)).errors).toEqual([]);
  });
});

describe("requestPasswordReset", () => {
  it.each(NASTY)(
    "with %s tells nothing and sends nothing to anybody",
    async (_what, identifier) => {
      const { status, errors } = await api.graphql(
        "mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { clientMutationId } }",
        { variables: { input: { identifier } } },
      );
      expect(status).toBe(identifier === LONE_SURROGATE ? 400 : 200);
      expect(
        errors.map(({ extensions }) => extensions.code).filter((c) => c !== "BAD_USER_INPUT"),
      ).toEqual([]);
      // The half of the worker, for all that were taken.
      await api.database.owner.query(
        "select app_private.start_password_reset(payload ->> 'identifier', '{}') from graphile_worker._private_jobs where payload::jsonb ? 'identifier'",
      );
      const { rowCount } = await api.database.owner.query(
        "select from app_private.user_tokens where purpose = 'password_reset'",
      );
      expect(rowCount).toBe(0);
    },
  );
});
