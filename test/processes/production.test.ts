import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { runEntry } from "../support/processes.ts";
import { until } from "../support/until.ts";

const name = `production_${randomBytes(6).toString("hex")}`;
let admin: pg.Client;
let emulator: FcmEmulator;
let environment: Record<string, string>;
let dataDirectory: string;

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject("superuserUrl") });
  await admin.connect();
  await admin.query(`create database ${name} owner howdah_owner`);
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-production-"));
  const url = new URL(inject("superuserUrl"));
  url.pathname = `/${name}`;
  environment = {
    NODE_ENV: "production",
    DATA_DIR: join(dataDirectory, "not-needed"),
    DATABASE_URL: withUser(url.href, "howdah_owner", TEST_PASSWORD),
    AUTHENTICATOR_DATABASE_URL: withUser(url.href, "howdah_authenticator", TEST_PASSWORD),
    JWT_PRIVATE_KEY: generateKeyPairSync("ec", { namedCurve: "P-256" })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString(),
    CREDENTIALS_KEY: randomBytes(32).toString("base64"),
    FCM_EMULATOR_HOST: emulator.host,
    PORT: "0",
    OPS_PORT: "0",
    WORKER_OPS_PORT: "0",
  };
});
afterAll(async () => {
  await emulator.close();
  await until(
    () => admin.query("select from pg_stat_activity where datname = $1", [name]),
    ({ rowCount }) => rowCount === 0,
  );
  await admin.query(`drop database ${name}`);
  await admin.end();
  await rm(dataDirectory, { recursive: true, force: true });
});

describe("migrate, api and worker as processes of their own, in production", () => {
  it("do together what npm start does, and end with 0 on SIGTERM", {
    timeout: 60_000,
  }, async () => {
    const migrate = runEntry("src/migrate.ts", environment);
    expect(await migrate.ends()).toBe(0);
    expect(existsSync(environment.DATA_DIR as string)).toBe(false);
    expect(migrate.output()).toBe("The database has the newest schema.\n");

    const { DATABASE_URL, ...ofApi } = environment;
    const api = runEntry("src/api.ts", ofApi);
    // Each gets what it needs and no more: the worker knows no key, the API no owner.
    const { AUTHENTICATOR_DATABASE_URL, JWT_PRIVATE_KEY, ...ofWorker } = environment;
    const worker = runEntry("src/worker.ts", ofWorker);
    const url = (await api.prints(/"url":"([^"]+)"/))[1] as string;
    const opsUrl = (await worker.prints(/"ops":"([^"]+)"/))[1] as string;
    expect((await fetch(`${opsUrl}/ready`)).status).toBe(200);
    expect((await fetch(`${url}/graphiql`)).status).toBe(404);

    const graphql = async (query: string, token?: string) => {
      const response = await fetch(`${url}/graphql`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
        body: JSON.stringify({ query }),
      });
      // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
      return (await response.json()) as { data: any };
    };
    const { data } = await graphql(
      `mutation { signUp(input: {email: "ops@example.com", password: "long enough", firstName: "Ops"}) {
        tokens { userId accessToken refreshToken } } }`,
    );
    const { userId, accessToken, refreshToken } = data.signUp.tokens;
    await graphql(
      'mutation { registerDevice(input: {token: "prod-phone", deviceType: IOS}) { deviceToken { id } } }',
      accessToken,
    );
    const howdah = (...args: string[]) => runEntry("scripts/howdah.ts", environment, args);
    const granted = howdah("operator:grant", "OPS@example.com");
    expect(await granted.ends()).toBe(0);
    expect(granted.output()).toContain(`User ${userId} is an operator.`);
    const unknown = howdah("operator:grant", "nobody@example.com");
    expect(await unknown.ends()).toBe(1);
    expect(unknown.output()).toBe("There is no user nobody@example.com.\n");

    const refreshed = await graphql(
      `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { accessToken } } }`,
    );
    await graphql(
      `mutation { sendNotification(input: {users: [${userId}], event: "e", message: "Hello"}) { notification { id } } }`,
      refreshed.data.refreshTokens.tokens.accessToken,
    );
    const received = await emulator.phones.nextMessage("prod-phone", 5000);
    expect(received.message.notification).toEqual({ body: "Hello" });

    expect(await Promise.all([api.ends("SIGTERM"), worker.ends("SIGTERM")])).toEqual([0, 0]);
    const logged = api.output() + worker.output();
    for (const secret of [
      accessToken,
      refreshToken,
      "ops@example.com",
      "prod-phone",
      "PRIVATE KEY",
    ]) {
      expect(logged).not.toContain(secret);
    }
  });
});
