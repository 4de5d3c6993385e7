import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { TOKEN_PREFIXES } from "../../src/push/emulator/faults.ts";
import { useEmulator } from "../support/emulator.ts";

const used = useEmulator();
const { call, send } = used;

describe("a fault rule", () => {
  const statuses = async (...messages: object[]) => {
    const got = [];
    for (const message of messages) got.push((await send(message)).status);
    return got;
  };
  const [a, ab, b] = [{ token: "a" }, { token: "a-b" }, { token: "b" }];

  it.each([
    [{ match: "*" }, [500, 500, 500]],
    [{}, [500, 500, 500]],
    [{ match: "a" }, [500, 500, 200]],
    [{ token: "a" }, [500, 200, 200]],
    [{ regex: "b$" }, [200, 500, 500]],
    [{ match: "a", regex: "b$" }, [200, 500, 200]],
    [{ project: "p" }, [500, 500, 500]],
    [{ project: "q" }, [200, 200, 200]],
  ])("%j applies to what meets all of its conditions", async (conditions, expected) => {
    await call("POST", "/faults", { ...conditions, respond: "INTERNAL" });
    expect(await statuses(a, ab, b)).toEqual(expected);
  });

  it("finds its topic and its platform", async () => {
    await call("POST", "/faults", { topic: "news", respond: "TOPIC_QUOTA_EXCEEDED" });
    await call("POST", "/faults", { platform: "apns", respond: "THIRD_PARTY_AUTH_ERROR" });
    const apns = { payload: { aps: {} } };
    expect(await statuses({ topic: "news" }, { topic: "other" }, { token: "a", apns }, a)).toEqual([
      429, 200, 401, 200,
    ]);
  });

  it("is used up after its times, begins after others, and takes an even share", async () => {
    await call("POST", "/faults", { match: "t", respond: "INTERNAL", times: 2 });
    await call("POST", "/faults", { match: "n", respond: "INTERNAL", after: 2 });
    await call("POST", "/faults", { match: "s", respond: "INTERNAL", share: 0.5 });
    const three = (token: string) => statuses({ token }, { token }, { token });
    expect(await three("t")).toEqual([500, 500, 200]);
    expect(await three("n")).toEqual([200, 200, 500]);
    expect(await three("s")).toEqual([200, 500, 200]);
    const { faults } = (await call("GET", "/faults")).body;
    expect(
      faults.map(({ match, applied }: { match: string; applied: number }) => [match, applied]),
    ).toEqual([
      ["n", 1],
      ["s", 1],
    ]);
  });

  it("goes before younger ones and before prefixes; ACCEPT makes an exception", async () => {
    await call("POST", "/faults", { token: "unregistered-1", respond: "ACCEPT" });
    await call("POST", "/faults", { match: "*", respond: "INTERNAL" });
    expect(await statuses({ token: "unregistered-1" }, { token: "unregistered-2" })).toEqual([
      200, 500,
    ]);
  });

  it("is listed with its id, and goes by it", async () => {
    const first = (await call("POST", "/faults", { respond: "INTERNAL" })).body;
    const second = (await call("POST", "/faults", { respond: "HTML", retryAfter: 3 })).body;
    expect(second).toEqual({ id: first.id + 1, respond: "HTML", retryAfter: 3, applied: 0 });
    expect((await call("DELETE", `/faults/${first.id}`)).body).toEqual({ faults: [second] });
    expect((await call("DELETE", `/faults/${first.id}`)).status).toBe(404);
    expect((await call("DELETE", "/faults")).body).toEqual({ faults: [] });
  });

  it.each([
    [{ match: "a" }, "respond"],
    [{ respond: "NONSENSE" }, "respond"],
    [{ respond: "HANG", tiems: 1 }, "tiems"],
    [{ respond: "HANG", times: 0 }, "times"],
    [{ respond: "HANG", share: 2 }, "share"],
    [{ respond: "HANG", regex: "(" }, "is no regular expression"],
    ["{", "no JSON"],
  ])("%j is refused with the reason", async (rule, reason) => {
    const { status, body } = await call("POST", "/faults", rule);
    expect(status).toBe(400);
    expect(body.error.message).toContain(reason);
    expect(body.error.message).not.toMatch(/✖|→|\n/);
    expect(used.emulator.faults.list()).toEqual([]);
  });

  it("and a prefix stand in the documentation together", async () => {
    const page = await readFile(`${import.meta.dirname}/../../docs/fcm-emulator.md`, "utf8");
    const rows = [...page.matchAll(/^\| `([a-z]+)-` \| `([A-Z_]+)`/gm)].map((row) => row.slice(1));
    const prefixes = Object.entries(TOKEN_PREFIXES).map(([name, { respond }]) => [name, respond]);
    expect(rows).toEqual(prefixes);
  });
});
