import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from "node:crypto";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let account: Account;
let privateKey: string;
let kid: string;
let claims: Record<string, unknown>;
let connectionsBefore: number;

const PREVIOUS = generateKeyPairSync("ec", { namedCurve: "P-256" });

beforeAll(async () => {
  const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  privateKey = key.export({ type: "pkcs8", format: "pem" }).toString();
  api = await startTestApi({
    environment: {
      JWT_PRIVATE_KEY: privateKey,
      JWT_PREVIOUS_PUBLIC_KEYS: PREVIOUS.publicKey
        .export({ type: "spki", format: "pem" })
        .toString(),
    },
  });
  account = await api.signUp();
  const [header, payload] = account.token.split(".").map((part) => Buffer.from(part, "base64url"));
  kid = JSON.parse(String(header)).kid;
  claims = JSON.parse(String(payload));
  connectionsBefore = await apiStatements();
});
afterAll(() => api.stop());

/** How many transactions this database has seen, as PostgreSQL counts them for the API's backends. */
async function apiStatements(): Promise<number> {
  const { rows } = await api.database.owner.query(
    "select count(*)::int as count from pg_stat_activity where application_name = 'howdah api' and datname = current_database()",
  );
  return rows[0].count;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A token signed as the header says or does not say. */
function token(
  change: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: Parameters<typeof sign>[2] = createPrivateKey(privateKey),
): string {
  const content = `${encode({ alg: "ES256", typ: "JWT", kid, ...header })}.${encode({ ...claims, ...change })}`;
  const signature = sign("sha256", Buffer.from(content), {
    key: key as never,
    dsaEncoding: "ieee-p1363",
  });
  return `${content}.${signature.toString("base64url")}`;
}

const now = () => Math.floor(Date.now() / 1000);

describe("a bearer token", () => {
  it("that is good gives its user", async () => {
    const { status, data } = await api.graphql("{ me { id } }", { token: token() });
    expect(status).toBe(200);
    expect(data.me.id).toBe(account.userId);
  });

  it("of a previous key is good while that key is kept", async () => {
    const jwks = await (await fetch(`${api.url}/.well-known/jwks.json`)).json();
    const { keys } = jwks as { keys: { kid: string; alg: string; use: string; d?: string }[] };
    expect(keys).toHaveLength(2);
    for (const key of keys) expect(key).toMatchObject({ alg: "ES256", use: "sig" });
    expect(JSON.stringify(keys)).not.toContain('"d"');
    const previous = keys.find((key) => key.kid !== kid)?.kid;
    const { data } = await api.graphql("{ me { id } }", {
      token: token({}, { kid: previous }, PREVIOUS.privateKey),
    });
    expect(data.me.id).toBe(account.userId);
  });

  const bad: [string, () => string][] = [
    ["that is no JWT", () => "nonsense"],
    ["that is empty in its parts", () => ".."],
    [
      "with alg none (algorithm list pinned)",
      () => `${encode({ alg: "none", kid })}.${encode(claims)}.`,
    ],
    ["with alg nOnE", () => `${encode({ alg: "nOnE", kid })}.${encode(claims)}.`],
    [
      "with HS256 and the public key as secret (algorithm list pinned)",
      () => {
        const pem = createPublicKey(privateKey).export({ type: "spki", format: "pem" });
        const content = `${encode({ alg: "HS256", kid })}.${encode(claims)}`;
        return `${content}.${createHmac("sha256", pem).update(content).digest("base64url")}`;
      },
    ],
    ["that has expired", () => token({ exp: now() - 61 })],
    ["without exp", () => token({ exp: undefined })],
    ["with exp as a string", () => token({ exp: String(now() + 900) })],
    ["with nbf in the future", () => token({ nbf: now() + 120 })],
    ["of another issuer", () => token({ iss: "https://evil.example" })],
    ["for another audience", () => token({ aud: "other" })],
    ["without a role", () => token({ role: undefined })],
    ["with role postgres (allow-list)", () => token({ role: "postgres" })],
    ["with role howdah_owner", () => token({ role: "howdah_owner" })],
    ["with role howdah_authenticator", () => token({ role: "howdah_authenticator" })],
    ["with role __proto__", () => token({ role: "__proto__" })],
    ["whose user id is text", () => token({ user_id: "1; drop table users" })],
    ["whose sub and user_id differ", () => token({ user_id: 999 })],
    [
      "with a kid outside the fixed set, which climbs folders",
      () => token({}, { kid: "../../../../dev/null" }),
    ],
    ["with a kid that is SQL", () => token({}, { kid: "' union select 'x" })],
    ["with a kid that is an object", () => token({}, { kid: { $ne: 1 } })],
    ["without a kid", () => token({}, { kid: undefined })],
    [
      "that brings its own key (jku, x5u and jwk ignored)",
      () => {
        const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const jwk = own.publicKey.export({ format: "jwk" });
        return token(
          {},
          { jwk, jku: "https://evil.example/jwks", x5u: "https://evil.example/cert" },
          own.privateKey,
        );
      },
    ],
    ["whose signature was changed", () => `${token().slice(0, -8)}AAAAAAAA`],
    [
      "whose payload was changed",
      () => token().replace(/\.[^.]+\./, `.${encode({ ...claims, sub: "999", user_id: 999 })}.`),
    ],
    ["of 5,000 characters", () => `${token()}.${"x".repeat(5000)}`],
  ];

  it.each(bad)(
    "%s is HTTP 401, costs no connection and is never anonymous",
    async (_what, make) => {
      const { status, errors, data } = await api.graphql("{ me { id } }", { token: make() });
      expect(status).toBe(401);
      expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
      expect(data).toBeUndefined();
      expect(await apiStatements()).toBe(connectionsBefore);
    },
  );

  it.each(["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", "token", ""])(
    "an Authorization header %j is HTTP 401",
    async (authorization) => {
      const response = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify({ query: "{ me { id } }" }),
      });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    },
  );

  it("of an operator whose right was taken away is refused at once", async () => {
    const operator = await api.signUpOperator();
    expect((await api.graphql("{ users { totalCount } }", { token: operator.token })).status).toBe(
      200,
    );
    await api.database.owner.query("delete from app_private.operators where user_id = $1", [
      operator.userId,
    ]);
    expect((await api.graphql("{ users { totalCount } }", { token: operator.token })).status).toBe(
      401,
    );
  });

  it("claiming to be an operator without being one is refused although its signature is good", async () => {
    const { status } = await api.graphql("{ users { totalCount } }", {
      token: token({ role: "howdah_operator" }),
    });
    expect(status).toBe(401);
  });

  it("naming another user's session is refused although its signature is good", async () => {
    const other = await api.signUp();
    const { status } = await api.graphql("{ me { id } }", {
      token: token({ user_id: other.userId, sub: String(other.userId) }),
    });
    expect(status).toBe(401);
  });
});

describe("generated keys", () => {
  it("are kept in the data directory for the owner alone, and survive a restart", async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-keys-"));
    const { loadJwtKeys } = await import("../../src/auth/keys.ts");
    const { loadConfig } = await import("../../src/config.ts");
    const config = loadConfig("api", { DATA_DIR: dataDirectory });
    const first = await loadJwtKeys(config);
    expect((await loadJwtKeys(config)).kid).toBe(first.kid);
    const { stat } = await import("node:fs/promises");
    const path = join(dataDirectory, "secrets/jwt-private-key.pem");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).toContain("BEGIN PRIVATE KEY");
  });
});
