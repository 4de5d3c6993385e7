import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { codes } from "../support/attempts.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const SIGN_UP = `mutation ($input: SignUpInput!) { signUp(input: $input) { clientMutationId tokens { accessToken tokenType userId expiresIn } } }`;
const LOG_IN = `mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken userId } } }`;

function person(fields: Record<string, unknown> = {}) {
  const unique = Math.random().toString(36).slice(2);
  return {
    input: { email: `${unique}@example.com`, password: PASSWORD, firstName: "Ann", ...fields },
  };
}

describe("signing up", () => {
  it("SIGN_UP_CONFIRMATION=off: tokens at once, the address unverified", async () => {
    const { data, errors } = await api.graphql(SIGN_UP, {
      variables: person({ clientMutationId: "m1", lastName: "Lee", timezone: "Asia/Kolkata" }),
    });
    expect(errors).toEqual([]);
    expect(data.signUp.clientMutationId).toBe("m1");
    expect(data.signUp.tokens).toMatchObject({ tokenType: "Bearer", expiresIn: 900 });
    const { data: me } = await api.graphql(
      "{ me { id firstName lastName timezone emailVerified phoneVerified isDeleted } }",
      { token: data.signUp.tokens.accessToken },
    );
    expect(me.me).toEqual({
      id: data.signUp.tokens.userId,
      firstName: "Ann",
      lastName: "Lee",
      timezone: "Asia/Kolkata",
      emailVerified: false,
      phoneVerified: false,
      isDeleted: false,
    });
  });

  it("works with a phone number alone, however it is written", async () => {
    const variables = person({ email: null, phone: "+49 (30) 555-0001" });
    const { data, errors } = await api.graphql(SIGN_UP, { variables });
    expect(errors).toEqual([]);
    const { data: me } = await api.graphql("{ me { phone email } }", {
      token: data.signUp.tokens.accessToken,
    });
    expect(me.me).toEqual({ phone: "+49305550001", email: null });
    const logIn = await api.graphql(LOG_IN, {
      variables: { input: { identifier: "+49305550001", password: PASSWORD } },
    });
    expect(logIn.data.logIn.tokens.userId).toBe(data.signUp.tokens.userId);
  });

  it("one account for one address whatever its case or Unicode form: a taken one is a CONFLICT that names the field", async () => {
    const name = `ren\u00e9-${Math.random().toString(36).slice(2)}`;
    await api.graphql(SIGN_UP, { variables: person({ email: `${name}@example.com` }) });
    const again = await api.graphql(SIGN_UP, {
      variables: person({ email: ` ${name.normalize("NFD").toUpperCase()}@Example.com ` }),
    });
    expect(again.errors[0]).toMatchObject({
      message: "This e-mail address is taken.",
      extensions: { code: "CONFLICT", field: "email" },
    });
  });

  it("50 parallel sign-ups with one address in different case and Unicode form make one account", async () => {
    const email = `ren\u00e9-${Math.random().toString(36).slice(2)}@example.com`;
    const forms = [email, email.toUpperCase(), email.normalize("NFD"), ` ${email} `];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        api.graphql(SIGN_UP, {
          variables: person({ email: forms[i % forms.length] }),
        }),
      ),
    );
    expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
    expect(new Set(answers.flatMap(({ errors }) => errors.map((e) => e.extensions.code)))).toEqual(
      new Set(["CONFLICT"]),
    );
    const { rowCount } = await api.database.owner.query(
      "select from app_public.users where lower(email::text) = $1",
      [email],
    );
    expect(rowCount).toBe(1);
  }, 30_000);

  it("dots and plus parts kept, and lookalikes are other addresses: each makes an account", async () => {
    const unique = Math.random().toString(36).slice(2);
    // Cyrillic a, full-width a.
    for (const name of ["a.b", "ab", "ab+1", "\u0430b", "\uff41b"]) {
      const email = `${name}${unique}@example.com`;
      expect((await api.graphql(SIGN_UP, { variables: person({ email }) })).errors).toEqual([]);
    }
    const { rows } = await api.database.owner.query(
      "select count(*)::int as count from app_public.users where email like '%' || $1 || '%'",
      [unique],
    );
    expect(rows).toEqual([{ count: 5 }]);
  });

  it("one mailbox is one address: a domain is compared as mail software reads it", async () => {
    const unique = Math.random().toString(36).slice(2);
    const signUp = async (email: string) =>
      codes([await api.graphql(SIGN_UP, { variables: person({ email }) })])[0];
    expect(await signUp(`ab${unique}@github.com`)).toBe("ok");
    expect(await signUp(`ab${unique}@\uff47ithub.com`)).toBe("CONFLICT");
    // With a dot above the i: mail for it goes to xn--github-qyd.com.
    expect(await signUp(`ab${unique}@g\u0130thub.com`)).toBe("ok");
    expect(await signUp(`ab${unique}@gi\u0307thub.com`)).toBe("CONFLICT");
    for (const hidden of ["\u00ad", "\u200b", "\u2060", "\u00a0", "\u202e", "\ufe0f", "\ufeff"]) {
      expect(await signUp(`ab${unique}@git${hidden}hub.com`)).toBe("BAD_USER_INPUT");
      expect(await signUp(`a${hidden}b${unique}@github.com`)).toBe("BAD_USER_INPUT");
    }
    for (const domain of [
      "xn--github-qyd.com",
      "mail.XN--mnchen-3ya.de",
      "git\u3002hub.com",
      "a/b.com",
    ]) {
      expect(await signUp(`ab${unique}@${domain}`)).toBe("BAD_USER_INPUT");
    }
  });

  it.each([
    ["a password of 7 characters", { password: "1234567" }, "password"],
    ["a password of 257 characters", { password: "x".repeat(257) }, "password"],
    ["a password with NUL", { password: "12345678\0" }, "password"],
    ["neither e-mail nor phone", { email: null }, "email"],
    ["no e-mail address", { email: "nobody" }, "email"],
    ["an e-mail address of 255 characters", { email: `${"x".repeat(243)}@example.com` }, "email"],
    ["a full-width @", { email: "nobody\uff20example.com" }, "email"],
    ["a phone number in full-width digits", { phone: "+\uff14\uff1930555\uff10001" }, "phone"],
    ["an e-mail address with a line break", { email: "a@b.example\nBcc: c@d.example" }, "email"],
    ["an empty first name", { firstName: "  " }, "firstName"],
    ["a first name of 101 characters", { firstName: "x".repeat(101) }, "firstName"],
    ["a phone number without country code", { phone: "030123456" }, "phone"],
    ["an unknown time zone", { timezone: "Mars/Olympus" }, "timezone"],
    ["a POSIX time zone", { timezone: "FOO+3" }, "timezone"],
    ["device info of 501 characters", { deviceInfo: "x".repeat(501) }, "deviceInfo"],
  ])("with %s is BAD_USER_INPUT and makes no account", async (_what, fields, field) => {
    const variables = person(fields);
    const { errors } = await api.graphql(SIGN_UP, { variables });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field });
    const { rowCount } = await api.database.owner.query(
      "select from app_public.users where email = $1",
      [variables.input.email],
    );
    expect(rowCount).toBe(0);
  });
});
