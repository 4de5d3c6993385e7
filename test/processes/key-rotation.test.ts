import { generateKeyPairSync, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type Running, runEntry } from "../support/processes.ts";

const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const [old, next] = [pair(), pair()];
const pem = {
  private: ({ privateKey }: typeof old) =>
    privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  public: ({ publicKey }: typeof old) =>
    publicKey.export({ type: "spki", format: "pem" }).toString(),
};
const [oldSecret, newSecret] = [randomBytes(32), randomBytes(32)].map((key) =>
  key.toString("base64"),
) as [string, string];

/** The steps of docs/backups.md, each rolled out over the one before. */
const STEPS: Record<string, string>[] = [
  { JWT_PRIVATE_KEY: pem.private(old), CREDENTIALS_KEY: oldSecret },
  {
    JWT_PRIVATE_KEY: pem.private(old),
    JWT_PREVIOUS_PUBLIC_KEYS: pem.public(next),
    CREDENTIALS_KEY: oldSecret,
    CREDENTIALS_PREVIOUS_KEYS: newSecret,
  },
  {
    JWT_PRIVATE_KEY: pem.private(next),
    JWT_PREVIOUS_PUBLIC_KEYS: pem.public(old),
    CREDENTIALS_KEY: newSecret,
    CREDENTIALS_PREVIOUS_KEYS: oldSecret,
  },
  { JWT_PRIVATE_KEY: pem.private(next), CREDENTIALS_KEY: newSecret },
];

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function start(keys: Record<string, string>): Promise<{ running: Running; url: string }> {
  const running = runEntry("src/api.ts", {
    NODE_ENV: "production",
    PORT: "0",
    OPS_PORT: "0",
    PUBLIC_URL: "https://api.example.com",
    AUTHENTICATOR_DATABASE_URL: database.authenticatorUrl,
    ...keys,
  });
  const [, url] = await running.prints(/"url":"([^"]+)"/, 120_000);
  return { running, url: url as string };
}

async function graphql(url: string, query: string, token?: string) {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
  const { data, errors } = (await response.json()) as { data: any; errors?: unknown };
  expect(errors).toBeUndefined();
  return data;
}

const who = async (url: string, token: string) =>
  (await graphql(url, "{ me { id } }", token)).me.id;
const refresh = async (url: string, refreshToken: string) =>
  (
    await graphql(
      url,
      `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { accessToken refreshToken } } }`,
    )
  ).refreshTokens.tokens;

it("keys are changed step by step while nobody is logged out or refused, whichever process they ask", async () => {
  const [first, ...others] = await Promise.all(STEPS.map(start));
  let api = first as Awaited<ReturnType<typeof start>>;
  const { signUp } = await graphql(
    api.url,
    `mutation { signUp(input: {email: "kept@example.com", password: "long enough", firstName: "K"}) {
      tokens { userId accessToken refreshToken } } }`,
  );
  const { userId } = signUp.tokens;
  let { accessToken, refreshToken } = signUp.tokens;
  for (const newer of others.slice(0, 2)) {
    // Both run, as in a roll-out: what either gives is good for the other.
    expect(await who(newer.url, accessToken)).toBe(userId);
    ({ accessToken, refreshToken } = await refresh(newer.url, refreshToken));
    expect(await who(api.url, accessToken)).toBe(userId);
    ({ accessToken, refreshToken } = await refresh(api.url, refreshToken));
    expect(await who(newer.url, accessToken)).toBe(userId);
    expect(await api.running.ends("SIGTERM")).toBe(0);
    api = newer;
  }
  // With the old keys gone, a session goes on by its refresh token.
  const newest = others[2] as typeof api;
  expect(await api.running.ends("SIGTERM")).toBe(0);
  ({ accessToken } = await refresh(newest.url, refreshToken));
  expect(await who(newest.url, accessToken)).toBe(userId);
  expect(await newest.running.ends("SIGTERM")).toBe(0);
}, 180_000);
