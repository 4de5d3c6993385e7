import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  PROVIDER_TOKENS,
  readProviderTokens,
  rotateProviderTokens,
} from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { runEntry } from "../support/processes.ts";
import { type FakeGoogle, startGoogle } from "../support/providers.ts";

const OLD_KEY = randomBytes(32).toString("base64");
const NEW_KEY = randomBytes(32).toString("base64");
const old = createKeyring([OLD_KEY], PROVIDER_TOKENS);
const rotating = createKeyring([NEW_KEY, OLD_KEY], PROVIDER_TOKENS);
const rotated = createKeyring([NEW_KEY], PROVIDER_TOKENS);

let api: TestApi;
let google: FakeGoogle;

beforeAll(async () => {
  google = await startGoogle();
  api = await startTestApi({
    environment: {
      ...google.environment,
      ALLOWED_REDIRECTS: RETURN_URL,
      CREDENTIALS_KEY: OLD_KEY,
    },
  });
});
afterAll(async () => {
  await api.stop();
  await google.stop();
});

async function credentialOf(sub: string): Promise<number> {
  google.person = { sub, email: `${sub}@example.com`, email_verified: true };
  const { errors } = await signInWith(api, "google");
  expect(errors).toEqual([]);
  const { rows } = await api.database.owner.query(
    "select id from app_public.oauth2_credentials where subject = $1",
    [sub],
  );
  return rows[0].id;
}

describe("a provider's tokens", () => {
  it("are encrypted at rest with CREDENTIALS_KEY, and readable for a task", async () => {
    const { owner } = api.database;
    const id = await credentialOf("one");
    const tokens = await readProviderTokens(owner, old, id);
    expect(tokens?.accessToken).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(tokens?.refreshToken).toBeDefined();
    expect(tokens?.tokenExpiry?.getTime()).toBeGreaterThan(Date.now());
    const { rows } = await owner.query("select t::text from app_private.oauth2_tokens t");
    for (const secret of [tokens?.accessToken, tokens?.refreshToken]) {
      expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret as string).toString("hex"));
      expect(JSON.stringify(rows)).not.toContain(secret);
    }
    expect(await readProviderTokens(owner, old, 2_000_000_000)).toBeUndefined();
  });

  it("are of no use in another row, or with another key", async () => {
    const { owner } = api.database;
    const [one, two] = [await credentialOf("three"), await credentialOf("four")];
    await expect(readProviderTokens(owner, rotated, one)).rejects.toThrow("configured");
    await owner.query(
      `update app_private.oauth2_tokens t set access_token_encrypted = o.access_token_encrypted
       from app_private.oauth2_tokens o
       where t.oauth2_credential_id = $1 and o.oauth2_credential_id = $2`,
      [one, two],
    );
    await expect(readProviderTokens(owner, old, one)).rejects.toThrow();
    await owner.query("delete from app_public.oauth2_credentials where id = $1", [one]);
  });

  it("can be rotated to another key while the old one is still known", async () => {
    const { owner } = api.database;
    const id = await credentialOf("five");
    const before = await readProviderTokens(owner, rotating, id);
    const count = await rotateProviderTokens(owner, rotating);
    expect(count).toBeGreaterThan(0);
    expect(await rotateProviderTokens(owner, rotating)).toBe(0);
    expect(await readProviderTokens(owner, rotated, id)).toEqual(before);
    await expect(readProviderTokens(owner, old, id)).rejects.toThrow("configured");
  });

  it("are rotated by `npm run howdah -- credentials:rotate`", { timeout: 30_000 }, async () => {
    const { owner, ownerUrl } = api.database;
    const id = await credentialOf("six");
    const run = runEntry(
      "scripts/howdah.ts",
      {
        DATABASE_URL: ownerUrl,
        CREDENTIALS_KEY: NEW_KEY,
        CREDENTIALS_PREVIOUS_KEYS: OLD_KEY,
      },
      ["credentials:rotate"],
    );
    expect(await run.ends()).toBe(0);
    expect(run.output()).toBe("1 credentials were encrypted anew.\n");
    expect((await readProviderTokens(owner, rotated, id))?.accessToken).toBeDefined();
  });
});
