import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({
    environment: { ALLOWED_ORIGINS: "https://app.example.com", GRAPHIQL: "off" },
  });
});
afterAll(() => api.stop());

function post(body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}) {
  return fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}
const QUERY = JSON.stringify({ query: "{ __typename }" });

describe("HTTP", () => {
  it("answers in the media type that was asked for", async () => {
    const modern = await post(QUERY, { accept: "application/graphql-response+json" });
    expect(modern.headers.get("content-type")).toMatch(/^application\/graphql-response\+json/);
    const legacy = await post(QUERY, { accept: "application/json" });
    expect(legacy.headers.get("content-type")).toMatch(/^application\/json/);
    expect(await legacy.json()).toEqual({ data: { __typename: "Query" } });
  });

  it.each([
    ["nothing, as curl -H 'Accept;' sends it", "", "application/json"],
    ["capitals and a charset", "APPLICATION/JSON; Charset=UTF-8", "application/json"],
    ["all but one", "application/json;q=0, */*", "application/graphql-response+json"],
    [
      "a better one",
      "application/json;q=0.9, application/graphql-response+json",
      "application/graphql-response+json",
    ],
  ])("answers in one that Accept allows: %s", async (_what, accept, type) => {
    const response = await post(QUERY, {
      accept,
      "content-type": "Application/JSON; Charset=UTF-8",
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain(type);
  });

  it.each([
    [
      "a body over 100,000 bytes",
      () => post(JSON.stringify({ query: `{${" ".repeat(100_001)}}` })),
      413,
    ],
    ["a batch", () => post(`[${QUERY}]`), 400],
    [
      "a form",
      () => post("query={__typename}", { "content-type": "application/x-www-form-urlencoded" }),
      415,
    ],
    ["a query without JSON", () => post("{a}", { "content-type": "application/graphql" }), 415],
    [
      "JSON in another charset",
      () => post(QUERY, { "content-type": "application/json; charset=utf-16" }),
      415,
    ],
    ["an Accept of no media type", () => post(QUERY, { accept: "a/b/c,,,;" }), 406],
    ["an Accept of other types", () => post(QUERY, { accept: "text/html" }), 406],
    ["an Accept that excludes all", () => post(QUERY, { accept: "application/json;q=0" }), 406],
    [
      "half a character of UTF-8",
      () => post(Buffer.from(`{"query":"{ __typename } # \xc3 "}`, "latin1")),
      400,
    ],
    ["plain text", () => post(QUERY, { "content-type": "text/plain" }), 415],
    ["broken JSON", () => post("{"), 400],
    ["no query", () => post("{}"), 400],
    ["variables that are no object", () => post('{"query":"{__typename}","variables":[1]}'), 400],
    ["GET", () => fetch(`${api.url}/graphql?query={__typename}`), 405],
    ["an unknown path", () => fetch(`${api.url}/nothing`), 404],
  ])("%s is a 4xx with a code", async (_what, request, status) => {
    const response = await request();
    expect(response.status).toBe(status);
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect(errors[0]?.extensions.code).toMatch(/^(BAD_USER_INPUT|NOT_FOUND)$/);
  });

  it("says how long a body may be", async () => {
    const response = await post(JSON.stringify({ query: `{${" ".repeat(100_001)}}` }));
    expect(await response.json()).toMatchObject({
      errors: [{ message: "A request may have 100,000 bytes." }],
    });
  });

  it("an operation that is not valid is 400, where the answer's type is old 200", async () => {
    for (const query of ["{", "{ nope }", "query ($a: Int!) { item(id: $a) { id } }"]) {
      const old = await post(JSON.stringify({ query }), { accept: "application/json" });
      const accept = "application/graphql-response+json";
      expect([old.status, (await post(JSON.stringify({ query }), { accept })).status]).toEqual([
        200, 400,
      ]);
    }
  });

  it.each(["GET", "HEAD", "PUT", "DELETE"])(
    "%s is 405, which says what is allowed",
    async (method) => {
      const response = await fetch(`${api.url}/graphql`, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    },
  );

  it("answers a bad token in it, too: clients find the code there", async () => {
    for (const accept of ["application/graphql-response+json", "application/json"]) {
      const response = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", accept, authorization: "Bearer x.y.z" },
        body: '{"query":"{ __typename }"}',
      });
      expect(response.status).toBe(401);
      expect(response.headers.get("content-type")).toContain(accept);
    }
  });

  it("lets the allowed origin in, and no other", async () => {
    const preflight = (origin: string) =>
      fetch(`${api.url}/graphql`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
    const allowed = await preflight("https://app.example.com");
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example.com");
    expect(allowed.headers.get("access-control-allow-methods")).toBe("GET,POST");
    for (const origin of ["https://evil.example", "https://app.example.com.evil.example", "null"]) {
      expect((await preflight(origin)).headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  it("sends helmet's headers and does not say what it is made of", async () => {
    const { headers } = await post(QUERY);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(headers.get("strict-transport-security")).toContain("max-age=");
    expect(headers.get("x-powered-by")).toBeNull();
  });

  it("has no GraphiQL and no suggestions where they are off", async () => {
    expect((await fetch(`${api.url}/graphiql`)).status).toBe(404);
    const { errors } = await api.graphql("{ mee { id } }");
    expect(errors[0]?.message).toBe('Cannot query field "mee" on type "Query".');
  });

  it("has introspection where GraphiQL is off, as docs/operating.md says", async () => {
    const { data } = await api.graphql("{ __schema { queryType { name } } }");
    expect(data.__schema.queryType.name).toBe("Query");
  });

  it("has GraphiQL in development", async () => {
    const development = await startTestApi();
    const page = await fetch(`${development.url}/graphiql`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("<html");
    await development.stop();
  });

  /** The first line of what comes for these bytes, until the connection is closed. */
  function answerTo(bytes: string): Promise<string> {
    const { hostname, port } = new URL(api.url);
    return new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(Number(port), hostname, () => socket.write(bytes));
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
    });
  }

  it("closes what is no HTTP", async () => {
    expect(await answerTo("nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400/);
  });

  it.each([
    ["POST", "http://localhost/graphql", 200],
    ["POST", "http://localhost/graphql?x=1", 200],
    // As a proxy has seen it, that looks at paths: nothing is made of dots.
    ["POST", "http://localhost/x/../graphql", 404],
    ["POST", "/x/../graphql", 404],
    ["GET", "http://localhost/x/../console/", 404],
    ["GET", "http://localhost", 404],
    ["GET", "foo://", 404],
    ["GET", "*", 404],
    ["OPTIONS", "*", 204],
  ])(
    "a target that is a whole URL is its path as it was sent: %s %s is %i",
    async (method, target, status) => {
      const body = method === "POST" ? QUERY : "";
      const answer = await answerTo(
        `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status}`));
      if (status === 404) expect(answer).toContain('"code":"NOT_FOUND"');
      expect(answer).toMatch(/^x-request-id: /im);
    },
  );

  it("live, ready and metrics are on the ops port and not on the public one", async () => {
    expect(await (await fetch(`${api.opsUrl}/live`)).text()).toBe("ok");
    expect((await fetch(`${api.opsUrl}/ready`)).status).toBe(200);
    expect(await (await fetch(`${api.opsUrl}/metrics`)).text()).toContain(
      "process_cpu_seconds_total",
    );
    for (const path of ["/live", "/ready", "/metrics"]) {
      expect((await fetch(api.url + path)).status).toBe(404);
    }
  });
});
