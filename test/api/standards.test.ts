import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

// The audits are known before there is a server; its address is not.
const audits = serverAudits({
  url: "http://audited.invalid/graphql",
  fetchFn: (_url: string, init: RequestInit) => fetch(`${api.url}/graphql`, init),
});

describe("GraphQL over HTTP, as graphql-http audits it", () => {
  // MAY is what we may leave: queries by GET, of which caches and logs would keep the variables.
  const required = audits.filter(({ name }) => /^(MUST|SHOULD)/.test(name));
  it.each(required.map(({ name, fn }) => [name, fn] as const))("%s", async (_name, audit) => {
    const result = await audit();
    expect(result.status === "ok" ? "ok" : result.reason).toBe("ok");
  });

  it("are all of them", () => {
    expect(audits.filter(({ name }) => name.startsWith("MUST"))).toHaveLength(13);
    expect(audits.filter(({ name }) => name.startsWith("SHOULD"))).toHaveLength(23);
  });
});
