import { describe, expect, it } from "vitest";
import { useEmulator } from "../support/emulator.ts";
import { until } from "../support/until.ts";

const used = useEmulator();
const { call, send } = used;

/** Reads a stream of Server-Sent Events until it has so many, and leaves it. */
async function events(path: string, count: number, meanwhile: () => Promise<unknown>) {
  const leave = new AbortController();
  const response = await fetch(used.emulator.url + path, { signal: leave.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  await meanwhile();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.split("\n\n").length > count + 1) break;
  }
  leave.abort();
  return [...text.matchAll(/^event: (.+)\ndata: (.+)$/gm)].map(([, event, data]) => ({
    event,
    data: JSON.parse(data as string),
  }));
}

describe("the FCM emulator's own interface", () => {
  it("says what there is", async () => {
    const { body } = await call("GET", "/");
    expect(body.endpoints).toEqual([
      "POST /v1/projects/{project}/messages:send",
      "POST, DELETE /v1/projects/{project}/registrations/{token}/topicSubscriptions",
      "POST /token",
      "GET /",
      "GET, DELETE /phones",
      "GET, PATCH, DELETE /phones/{token}",
      "GET /phones/{token}/events",
      "GET /events",
      "GET, DELETE /stats",
      "GET, POST, DELETE /faults",
      "DELETE /faults/{id}",
      "GET, POST /clock",
      "GET /certificate",
      "POST /reset",
    ]);
  });

  it("ends its answers with a line break, for who reads them in a terminal", async () => {
    for (const path of ["/", "/phones", "/phones/nobody", "/nowhere"]) {
      const answer = await fetch(used.emulator.url + path);
      expect(await answer.text()).toMatch(/^\{.*\}\n$/);
    }
  });

  it("streams what phones get and what was refused, without polling", async () => {
    const seen = await events("/events", 2, async () => {
      await send({ token: "a", notification: { body: "Hi" } });
      await send({ token: "unregistered-1" });
    });
    expect(seen).toEqual([
      {
        event: "message",
        data: expect.objectContaining({ token: "a", shown: expect.any(Object) }),
      },
      {
        event: "refused",
        data: { token: "unregistered-1", project: "p", respond: "UNREGISTERED" },
      },
    ]);
  });

  it("streams one phone, with what it has already, so that a test misses nothing", async () => {
    await send({ token: "a", data: { n: "1" } });
    const seen = await events("/phones/a/events", 2, async () => {
      await send({ token: "b", data: { n: "2" } });
      await send({ token: "a", data: { n: "3" } });
    });
    expect(seen.map(({ data }) => data.message.data.n)).toEqual(["1", "3"]);
  });

  it("forgets a stream that its reader has left", async () => {
    await events("/events", 1, () => send({ token: "a" }));
    await until(
      async () => used.emulator.events.size(),
      (size) => size === 0,
    );
  });

  it("counts what became of messages", async () => {
    await send({ token: "a" });
    await send({ token: "a", nonsense: 1 });
    await send({ token: "a" }, { validate_only: true });
    await send({ token: "quota-1" });
    expect((await call("GET", "/stats")).body).toEqual({
      sends: { ACCEPTED: 1, INVALID_REQUEST: 1, VALIDATED: 1, QUOTA_EXCEEDED: 1 },
      arrivals: { DELIVERED: 1 },
      phones: 1,
    });
    await call("DELETE", "/stats");
    expect((await call("GET", "/stats")).body).toEqual({ sends: {}, arrivals: {}, phones: 1 });
  });

  it("puts its clock forward", async () => {
    const before = Date.parse((await call("GET", "/clock")).body.now);
    const { body } = await call("POST", "/clock", { advance: 3600 });
    expect(Date.parse(body.now) - before).toBeGreaterThanOrEqual(3_600_000);
  });

  it("forgets everything with one call", async () => {
    await send({ token: "a" });
    await call("DELETE", "/phones/b");
    await call("POST", "/faults", { respond: "INTERNAL" });
    await call("POST", "/clock", { advance: 3600 });
    expect((await call("POST", "/reset")).body).toEqual({ reset: true });
    expect((await call("GET", "/phones")).body).toEqual({ phones: [] });
    expect((await call("GET", "/stats")).body).toEqual({ sends: {}, arrivals: {}, phones: 0 });
    expect((await send({ token: "b" })).status).toBe(200);
    const now = Date.parse((await call("GET", "/clock")).body.now);
    expect(Math.abs(now - Date.now())).toBeLessThan(60_000);
  });

  it.each([
    ["GET", "/nothing", undefined, 404, "There is: POST /v1/projects"],
    ["GET", "/phones/", undefined, 404, "There is nothing at /phones/."],
    ["GET", "/phones/a/b", undefined, 404, "There is nothing at /phones/a/b."],
    ["GET", "/phones/%zz", undefined, 400, "not percent-encoded"],
    ["GET", "/v1/projects/p/messages:send", undefined, 404, "There is nothing at"],
    ["POST", "/phones", "{}", 405, "/phones takes GET, DELETE, not POST."],
    ["PATCH", "/phones/a", "{}", 400, "give online, platform or both"],
    ["PATCH", "/phones/a", '{"online": "no"}', 400, "online"],
    ["PATCH", "/phones/a", '{"platform": "ios"}', 400, '"android"|"apns"|"webpush"'],
    ["PATCH", "/phones/a", "{", 400, "The body is no JSON"],
    ["POST", "/clock", '{"advance": -1}', 400, "advance"],
    ["DELETE", "/faults/x", undefined, 404, "There is no rule x."],
    ["GET", "//", undefined, 404, "There is nothing at //."],
    ["GET", "/v1/projects/p/registrations/a/topicSubscriptions/t", undefined, 404, "nothing at"],
    [
      "DELETE",
      "/v1/projects/p/registrations/%zz/topicSubscriptions/t",
      undefined,
      400,
      "malformed",
    ],
    ["POST", "/token", "", 400, "grant_type"],
    ["POST", "/v1/projects/p/registrations/a/topicSubscriptions", "{}", 400, "topic_name"],
  ])("answers %s %s %s with HTTP %i and the reason", async (method, path, sent, status, reason) => {
    const answer = await call(method, path, sent);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body).replaceAll('\\"', '"')).toContain(reason);
  });
});
