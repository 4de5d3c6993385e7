import { generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "../src/config.ts";

const KEY = generateKeyPairSync("ec", { namedCurve: "P-256" })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

function faults(process: Parameters<typeof loadConfig>[0], environment: NodeJS.ProcessEnv): string {
  try {
    loadConfig(process, environment);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
}

describe("the settings", () => {
  it("need none in development", () => {
    expect(loadConfig("start", {})).toMatchObject({
      production: false,
      api: { host: "127.0.0.1", port: 5678, opsPort: 5679, trustProxy: false },
      worker: { opsPort: 5680 },
      publicUrl: "http://localhost:5678",
      jwtIssuer: "http://localhost:5678",
      jwtAudience: "howdah",
      graphiql: true,
      allowedOrigins: [],
      shutdownSeconds: 10,
    });
  });

  it("report every fault at once, by name and never by value", () => {
    const message = faults("api", {
      PORT: "eighty-secret",
      DATABASE_URL: "mysql://root:secret@db/x",
      ALLOWED_ORIGINS: "https://ok.example,https://bad.example/secret",
      JWT_PRIVATE_KEY: "secret",
      SHUTDOWN_SECONDS: "-1",
      FCM_EMULATOR_HOST: "secret",
      GRAPHIQL: "secret",
      JWT_PREVIOUS_PUBLIC_KEYS: "secret",
      NODE_ENV: "production",
      RATE_LIMIT_FACTOR: "99",
    });
    for (const name of [
      "PORT",
      "DATABASE_URL",
      "ALLOWED_ORIGINS",
      "JWT_PRIVATE_KEY",
      "SHUTDOWN_SECONDS",
      "FCM_EMULATOR_HOST",
      "GRAPHIQL",
      "JWT_PREVIOUS_PUBLIC_KEYS",
      // Of several together, and of what production needs besides.
      "RATE_LIMIT_FACTOR",
      "CREDENTIALS_KEY",
      "AUTHENTICATOR_DATABASE_URL",
    ]) {
      expect(message).toMatch(new RegExp(`^ {2}${name}: must`, "m"));
    }
    expect(message).not.toContain("secret");
    expect(message.match(/JWT_PRIVATE_KEY:/g)).toHaveLength(1);
  });

  it("leave time to finish after DRAIN_SECONDS", () => {
    expect(faults("api", { DRAIN_SECONDS: "9" })).toContain(
      "DRAIN_SECONDS: must be at least 2 less than SHUTDOWN_SECONDS",
    );
    expect(loadConfig("api", { DRAIN_SECONDS: "8" }).drainSeconds).toBe(8);
  });

  it("of production refuse what development generates", () => {
    expect(faults("api", { NODE_ENV: "production" })).toMatch(
      /AUTHENTICATOR_DATABASE_URL: must be set[\s\S]*JWT_PRIVATE_KEY: must be set/,
    );
    expect(faults("worker", { NODE_ENV: "production" })).toMatch(
      /DATABASE_URL: must be set[\s\S]*FIREBASE_SERVICE_ACCOUNT: must be set/,
    );
    expect(faults("migrate", { NODE_ENV: "production" })).toContain("DATABASE_URL: must be set");
    expect(faults("worker", { NODE_ENV: "production" })).toContain("CREDENTIALS_KEY: must be set");
    expect(faults("api", { NODE_ENV: "production", RATE_LIMIT_FACTOR: "11" })).toContain(
      "RATE_LIMIT_FACTOR: must be at most 10 in production",
    );
    expect(faults("start", { NODE_ENV: "production" })).toContain("NODE_ENV: `npm start`");
  });

  it("of production are enough with what it needs, and have no GraphiQL unless asked for", () => {
    const environment = {
      NODE_ENV: "production",
      AUTHENTICATOR_DATABASE_URL: "postgres://howdah_authenticator:x@db/howdah",
      JWT_PRIVATE_KEY: KEY.replaceAll("\n", "\\n"),
      CREDENTIALS_KEY: randomBytes(32).toString("base64"),
    };
    expect(loadConfig("api", environment).graphiql).toBe(false);
    expect(loadConfig("api", { ...environment, GRAPHIQL: "on" }).graphiql).toBe(true);
    expect(loadConfig("api", environment).jwtPrivateKey).toBe(KEY);
  });

  it("that are empty count as unset, as compose files pass them on", () => {
    expect(loadConfig("api", { DATABASE_URL: "", PORT: "" })).toMatchObject({
      databaseUrl: undefined,
      api: { port: 5678 },
    });
  });

  it("refuse a key of another kind", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString();
    expect(faults("api", { JWT_PRIVATE_KEY: rsa })).toContain("JWT_PRIVATE_KEY: must be the PEM");
  });

  it("turn a provider on with its id and secret, the real URLs being the default", () => {
    expect(loadConfig("api", {}).providers).toEqual({});
    const { providers, allowedRedirects } = loadConfig("api", {
      GITHUB_CLIENT_ID: "an-id",
      GITHUB_CLIENT_SECRET: "a-secret",
      ALLOWED_REDIRECTS: "https://app.example.com/in, com.example.app:/in,http://localhost:3000/in",
    });
    expect(providers).toEqual({
      github: {
        clientId: "an-id",
        clientSecret: "a-secret",
        baseUrl: "https://github.com",
        apiUrl: "https://api.github.com",
      },
    });
    expect(allowedRedirects).toHaveLength(3);
    expect(faults("api", { GOOGLE_CLIENT_ID: "an-id" })).toContain(
      "GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET: set both or neither",
    );
    expect(
      faults("api", { NODE_ENV: "production", GOOGLE_ISSUER_URL: "http://localhost:1" }),
    ).toContain("GOOGLE_ISSUER_URL: must be https in production");
  });

  it.each([
    "javascript:alert(1)",
    "//evil.example",
    "/in",
    "http://app.example.com/in",
    "https://user@app.example.com/in",
    "https://app.example.com/in#x",
    "https://app.example.com\\in",
    "data:text/html,x",
    "*",
  ])("refuse %s as a return URL", (value) => {
    expect(faults("api", { ALLOWED_REDIRECTS: value })).toContain("ALLOWED_REDIRECTS: must be");
  });
});
