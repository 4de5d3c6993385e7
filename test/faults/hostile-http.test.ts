import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

/** Sends bytes over a connection, and what comes back until it closes. */
async function exchange(...parts: (string | Buffer)[]): Promise<{ answer: string; took: number }> {
  const { hostname, port } = new URL(api.url);
  const socket: Socket = connect(Number(port), hostname);
  const began = performance.now();
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {
    // `close` follows.
  });
  for (const part of parts) socket.write(part);
  await closed;
  return { answer, took: performance.now() - began };
}

const head = (...more: string[]) =>
  [
    "POST /graphql HTTP/1.1",
    "Host: localhost",
    "Content-Type: application/json",
    ...more,
    "",
    "",
  ].join("\r\n");
const BODY = '{"query":"{ __typename }"}';

describe.concurrent("HTTP that does not come as it should is closed or a 4xx, and others go on", () => {
  it("headers that never end: closed after 10 s", { timeout: 20_000 }, async () => {
    const { answer, took } = await exchange(
      "POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    );
    expect(answer === "" || /^HTTP\/1.1 408/.test(answer)).toBe(true);
    expect(took).toBeLessThan(15_000);
  });

  it("a body that never ends: closed after 10 s", { timeout: 20_000 }, async () => {
    const { answer, took } = await exchange(head("Content-Length: 1000"), BODY);
    expect(answer === "" || /^HTTP\/1.1 4\d\d/.test(answer)).toBe(true);
    expect(took).toBeLessThan(15_000);
  });

  it("less than Content-Length says, and then the end of it: no answer but a 4xx", async () => {
    const { hostname, port } = new URL(api.url);
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
      socket.on("error", () => resolve(text));
      socket.end(head("Content-Length: 1000") + BODY);
    });
    expect(answer === "" || /^HTTP\/1.1 4\d\d/.test(answer)).toBe(true);
  });

  it("more than Content-Length says: what is over is no second request", async () => {
    const { answer } = await exchange(
      head(`Content-Length: ${BODY.length}`, "Connection: keep-alive"),
      BODY,
      "garbage\r\n\r\n",
    );
    // Node may answer what is over before what came first.
    expect(answer.match(/HTTP\/1.1 \d\d\d/g)?.at(-1)).toBe("HTTP/1.1 400");
    expect(answer.match(/__typename/g)?.length ?? 0).toBeLessThan(2);
  });

  it("two Content-Lengths, or one beside chunks: 400", async () => {
    for (const second of ["Content-Length: 5", "Transfer-Encoding: chunked"]) {
      const { answer } = await exchange(head(`Content-Length: ${BODY.length}`, second), BODY);
      expect(answer).toMatch(/^HTTP\/1.1 400/);
    }
  });

  it("an offer of HTTP/2, as `curl --http2` makes it, is answered in HTTP/1.1", async () => {
    const { answer } = await exchange(
      head(
        `Content-Length: ${BODY.length}`,
        "Connection: Upgrade, HTTP2-Settings, close",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
      ),
      BODY,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    expect(answer).toContain('"__typename":"Query"');
  });

  it("40,000 requests at once on one connection: closed before they are answered", {
    timeout: 30_000,
  }, async () => {
    const flood = exchange("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40_000));
    expect((await api.graphql("{ __typename }")).status).toBe(200);
    const { answer } = await flood;
    expect(answer.match(/HTTP\/1\.1 /g)?.length ?? 0).toBeLessThan(100);
    // A few in a row are HTTP/1.1 as it is meant.
    const few = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(9);
    const last = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    expect((await exchange(few + last)).answer.match(/HTTP\/1\.1 404/g)).toHaveLength(10);
  });

  it("a compressed bomb is not unpacked: 4xx", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, " "));
    const { answer } = await exchange(
      head(`Content-Length: ${bomb.length}`, "Content-Encoding: gzip", "Connection: close"),
      bomb,
    );
    expect(answer).toMatch(/^HTTP\/1.1 4\d\d/);
  });

  it("a body over 100,000 bytes in chunks of no stated length: 413", async () => {
    const chunk = `${(10_000).toString(16)}\r\n${" ".repeat(10_000)}\r\n`;
    const { answer } = await exchange(
      head("Transfer-Encoding: chunked", "Connection: close"),
      chunk.repeat(11),
      "0\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1.1 413/);
  });

  it("100 kB of headers: 431", async () => {
    const { answer } = await exchange(head(`X-Long: ${"x".repeat(100_000)}`));
    expect(answer).toMatch(/^HTTP\/1.1 431/);
  });
});
