import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { useEmulator } from "../support/emulator.ts";
import { run, runEntry } from "../support/processes.ts";

const used = useEmulator();
const { call } = used;

describe("the FCM emulator over HTTP/2", () => {
  let session: ClientHttp2Session;

  beforeEach(() => {
    const ca = used.emulator.certificate;
    session = connect(`https://${used.emulator.host}`, { ca, servername: "fcm.googleapis.com" });
  });
  afterEach(() => session.destroy());

  async function send(token: string) {
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1/projects/p/messages:send",
      authorization: "Bearer x",
    });
    stream.end(JSON.stringify({ message: { token } }));
    const [headers] = await once(stream, "response");
    return { status: headers[":status"], body: JSON.parse((await stream.toArray()).join("")) };
  }

  it("takes many messages on one connection", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => send(`phone-${n}`)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(answers[0]?.body.name).toMatch(/^projects\/p\/messages\//);
    expect(used.emulator.phones.size()).toBe(50);
  });

  it("refuses with the same words", async () => {
    const { status, body } = await send("quota-1");
    expect(status).toBe(429);
    expect(body.error.status).toBe("RESOURCE_EXHAUSTED");
  });

  it("tells the client to go away", async () => {
    const goaway = once(session, "goaway");
    await expect(send("goaway-1")).rejects.toThrow("NGHTTP2_REFUSED_STREAM");
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
    expect(used.emulator.phones.size()).toBe(0);
  });

  it("loses one message's stream, before or after it was taken", async () => {
    await expect(send("reset-1")).rejects.toThrow("NGHTTP2_INTERNAL_ERROR");
    await expect(send("resetafter-1")).rejects.toThrow("NGHTTP2_INTERNAL_ERROR");
    expect(used.emulator.phones.list()).toEqual([{ token: "resetafter-1", messages: 1 }]);
    expect((await send("phone-1")).status).toBe(200);
  });
});

/** An app as anybody might have it: nothing in it knows of an emulator. */
const APP = `
import { cert, initializeApp } from "firebase-admin/app";
import { getMessaging } from "firebase-admin/messaging";
initializeApp({ credential: cert(process.argv[1]) });
const messaging = getMessaging();
messaging.enableLegacyHttpTransport();
const { responses } = await messaging.sendEach([{ token: "phone-1" }, { token: "unregistered-1" }]);
console.log(responses[0].messageId, responses[1].error.code);
process.exit();
`;

describe("the FCM emulator as a proxy", () => {
  it("reaches an unchanged app with a service account, by three variables", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fcm-emulator-"));
    const certificate = await call("GET", "/certificate");
    await writeFile(join(folder, "emulator.pem"), certificate.body);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(
      join(folder, "account.json"),
      JSON.stringify({
        type: "service_account",
        project_id: "demo",
        client_email: "demo@demo.iam.gserviceaccount.com",
        private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      }),
    );
    const args = ["--input-type=module", "-e", APP, join(folder, "account.json")];
    const app = run(process.execPath, args, {
      env: {
        NODE_USE_ENV_PROXY: "1",
        HTTPS_PROXY: used.emulator.url,
        NODE_EXTRA_CA_CERTS: join(folder, "emulator.pem"),
      },
    });
    await app.prints(/projects\/demo\/messages\/\S+ messaging\/registration-token-not-registered/);
    await app.ends();
    await rm(folder, { recursive: true });
    expect(used.emulator.phones.messages("phone-1")).toHaveLength(1);
  });

  it("leads nowhere else", async () => {
    const [hostname, port] = used.emulator.host.split(":");
    const tunnel = httpRequest({ hostname, port, method: "CONNECT", path: "example.com:443" });
    tunnel.end();
    const [response, socket] = await once(tunnel, "connect");
    expect(response.statusCode).toBe(403);
    socket.destroy();
  });
});

describe("the FCM emulator's token exchange", () => {
  const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";

  it.each([
    ["/token", { grant_type: JWT_BEARER, assertion: "a.b.c" }],
    ["/oauth2/v4/token", { grant_type: JWT_BEARER, assertion: "a.b.c" }],
    ["/o/oauth2/token", { grant_type: "refresh_token", refresh_token: "r" }],
  ])("at %s takes %j as a form and as JSON", async (path, grant) => {
    const form = await fetch(used.emulator.url + path, {
      method: "POST",
      body: new URLSearchParams(grant as Record<string, string>),
    });
    expect(await form.json()).toMatchObject({ token_type: "Bearer", expires_in: 3600 });
    expect((await call("POST", path, grant)).body.access_token).toMatch(/^emulated-/);
  });

  it.each([
    [{ grant_type: "password" }, "unsupported_grant_type"],
    [{ grant_type: JWT_BEARER, assertion: "x" }, "invalid_grant"],
    [{ grant_type: "refresh_token" }, "invalid_request"],
    [{}, "invalid_request"],
  ])("refuses %j", async (grant, error) => {
    const { status, body } = await call("POST", "/token", grant);
    expect([status, body.error]).toEqual([400, error]);
  });
});

describe("npm run fcm-emulator", () => {
  const emulator = (...args: string[]) => runEntry("src/fcm-emulator.ts", {}, args);

  it("listens where its options say, and ends on SIGTERM", async () => {
    const running = emulator("--port", "0");
    const [, host] = await running.prints(/FCM_EMULATOR_HOST=(127\.0\.0\.1:\d+), phones at/);
    expect((await fetch(`http://${host}/phones`)).status).toBe(200);
    expect(await running.ends("SIGTERM")).toBe(0);
  });

  it("explains itself, and what it does not understand", async () => {
    const help = emulator("--help");
    expect(await help.ends()).toBe(0);
    expect(help.output()).toContain("--port   FCM_EMULATOR_PORT");
    const wrong = emulator("--prot", "1");
    expect(await wrong.ends()).toBe(1);
    expect(wrong.output()).toContain("Unknown option '--prot'");
  });
});
