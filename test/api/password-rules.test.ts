import { dictionary } from "@zxcvbn-ts/language-common";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hashNewPassword, verifyPassword } from "../../src/auth/passwords.ts";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const signUp = async (password: string) => {
  const email = `${Math.random().toString(36).slice(2)}@example.com`;
  const { errors } = await api.graphql(
    "mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { userId } } }",
    { variables: { input: { email, password, firstName: "P" } } },
  );
  return { email, errors };
};
const logIn = async (identifier: string, password: string) =>
  (
    await api.graphql(
      "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { userId } } }",
      { variables: { input: { identifier, password } } },
    )
  ).errors[0]?.extensions.code ?? "ok";

describe("passwords", () => {
  it("Argon2id m=19456 KiB, t=2, p=1, with a salt of its own for each", async () => {
    const { email } = await signUp(PASSWORD);
    await signUp(PASSWORD);
    const { rows } = await api.database.owner.query<{ password_hash: string }>(
      "select password_hash from app_private.user_secrets",
    );
    for (const { password_hash } of rows) {
      expect(password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    }
    expect(new Set(rows.map(({ password_hash }) => password_hash)).size).toBe(rows.length);
    expect(await logIn(email, PASSWORD)).toBe("ok");
  });

  it("hashed in Node, off the event loop", async () => {
    let turns = 0;
    let hashing = true;
    const spin = () => {
      turns += 1;
      if (hashing) setImmediate(spin);
    };
    setImmediate(spin);
    const hash = await hashNewPassword(PASSWORD);
    await verifyPassword(PASSWORD, hash);
    hashing = false;
    expect(turns).toBeGreaterThan(100);
  });

  it("hashed never in the database: nothing of ours there does, and no statement brings one in clear", async () => {
    const { rows } = await api.database.owner.query(
      String.raw`select p.oid::regprocedure::text as name from pg_proc p
       where p.pronamespace::regnamespace::text like 'app\_%' and p.prosrc ~* '\m(crypt|gen_salt|argon)'`,
    );
    expect(rows).toEqual([]);
    const { rows: parameters } = await api.database.owner.query(
      String.raw`select p.oid::regprocedure || ': ' || a.name as parameter
       from pg_proc p, unnest(p.proargnames) as a(name)
       where p.pronamespace::regnamespace::text like 'app\_%' and a.name ~ 'password' and a.name !~ 'hash'
         and a.name <> 'rehashed_password'`,
    );
    expect(parameters).toEqual([]);
  });

  it.each([
    ["at least 8 characters: 7 are refused", "sieben7", "BAD_USER_INPUT"],
    ["at least 8 characters: 7 emoji are 7", "🐘".repeat(7), "BAD_USER_INPUT"],
    ["at least 8 characters: 8 are accepted", "achtzehn", "ok"],
    ["64 accepted", "x".repeat(64), "ok"],
    ["65 accepted", "x".repeat(65), "ok"],
    ["up to 256: 256 are accepted", "y".repeat(256), "ok"],
    ["up to 256: 256 emoji are accepted", "🐘".repeat(256), "ok"],
    ["up to 256: 257 are refused", "y".repeat(257), "BAD_USER_INPUT"],
    ["no composition rules: small letters alone", "saddle on a roof", "ok"],
    ["no composition rules: digits alone", "849302716549", "ok"],
    ["no composition rules: blanks alone", " ".repeat(12), "ok"],
    ["no composition rules: any script", "пароль из слов", "ok"],
    ["no composition rules: control characters", "tab\tand\nline break", "ok"],
    ["NUL refused", "12345678\0", "BAD_USER_INPUT"],
    ["NUL refused, in front too", "\0correct horse", "BAD_USER_INPUT"],
  ])("%s", async (_what, password, code) => {
    const { email, errors } = await signUp(password);
    expect(errors[0]?.extensions.code ?? "ok").toBe(code);
    expect(await logIn(email, password)).toBe(code === "ok" ? "ok" : "UNAUTHENTICATED");
  });

  it.each([64, 72, 73, 128, 255, 256])(
    "no truncation: of %i characters the last one counts, and one more is too many",
    async (length) => {
      const password = "p".repeat(length);
      const { email } = await signUp(password);
      expect(await logIn(email, password.slice(0, -1))).toBe("UNAUTHENTICATED");
      expect(await logIn(email, `${password.slice(0, -1)}q`)).toBe("UNAUTHENTICATED");
      expect(await logIn(email, `${password}p`)).toBe("UNAUTHENTICATED");
      expect(await logIn(email, `${password}\0`)).toBe("UNAUTHENTICATED");
      expect(await logIn(email, password)).toBe("ok");
    },
  );

  it("no truncation of emoji: of 256 the last one counts", async () => {
    const { email } = await signUp("🐘".repeat(256));
    expect(await logIn(email, "🐘".repeat(255))).toBe("UNAUTHENTICATED");
    expect(await logIn(email, `${"🐘".repeat(255)}🐫`)).toBe("UNAUTHENTICATED");
    expect(await logIn(email, `${"🐘".repeat(256)}🐘`)).toBe("UNAUTHENTICATED");
  });

  it("lookalikes are other passwords", async () => {
    const { email } = await signUp("password for a saddle");
    expect(await logIn(email, "p\u0430ssword for a saddle")).toBe("UNAUTHENTICATED");
    expect(await logIn(email, "\uff50assword for a saddle")).toBe("UNAUTHENTICATED");
  });

  it("the 3,000 most common are refused, whatever their case", async () => {
    const common = dictionary["passwords-common"].filter(({ length }) => length >= 8);
    for (const password of common.slice(0, 3000)) {
      for (const form of [password, password.toUpperCase()]) {
        await expect(hashNewPassword(form)).rejects.toThrow("one of the most common ones");
      }
    }
    await expect(hashNewPassword(common[3000] as string)).resolves.toContain("$argon2id$");
  });
});
