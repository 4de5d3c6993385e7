import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOperationNames } from "../../src/metrics/operation-names.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { createPushes } from "../support/pushes.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

const text = async (opsUrl: string) => (await fetch(`${opsUrl}/metrics`)).text();

/** The value of a sample, by its name with labels as they are written. */
async function value(opsUrl: string, sample: string): Promise<number | undefined> {
  const line = (await text(opsUrl)).split("\n").find((found) => found.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

const becomes = (opsUrl: string, sample: string, expected: number) =>
  until(
    () => value(opsUrl, sample),
    (found) => found === expected,
  );

/** Names as HELP has them. */
const names = (metrics: string) =>
  new Set([...metrics.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name as string));

/** Names in a text, whatever part of a histogram they are. */
const mentioned = (page: string) =>
  new Set(
    [...page.matchAll(/\b(?:howdah|nodejs|process)_[a-z0-9_]*[a-z0-9]\b/g)].map(([name]) =>
      name.replace(/_(?:bucket|count|sum)$/, ""),
    ),
  );

describe("each metric", () => {
  it("is in the docs and on the dashboard, and nothing else is", async () => {
    const found = new Set([...names(await text(api.opsUrl)), ...names(await text(worker.opsUrl))]);
    const ours = [...found].filter((name) => name.startsWith("howdah_"));
    expect(ours.length).toBeGreaterThan(15);
    const docs = (await readFile("docs/operating.md", "utf8")).replaceAll(/`howdah_\w+_…`/g, "");
    const [, table = ""] = docs.split("## Metrics");
    const dashboard = JSON.parse(await readFile("deploy/grafana/howdah.json", "utf8")) as {
      panels: { targets?: { expr: string }[] }[];
    };
    const expressions = dashboard.panels
      .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
      .join("\n");
    for (const page of [table, expressions]) {
      const named = [...mentioned(page)];
      expect(named.filter((name) => !found.has(name))).toEqual([]);
      expect(ours.filter((name) => !named.includes(name))).toEqual([]);
    }
    const rows = [...table.matchAll(/^\| `(howdah_\w+)` \|/gm)].map(([, name]) => name);
    expect(rows.toSorted()).toEqual(ours.toSorted());
  });

  it("is named as Prometheus has it", async () => {
    for (const opsUrl of [api.opsUrl, worker.opsUrl]) {
      for (const [, name, type] of (await text(opsUrl)).matchAll(/^# TYPE (howdah_\S+) (\w+)$/gm)) {
        expect(name?.endsWith("_total")).toBe(type === "counter");
        if (type === "histogram") expect(name).toMatch(/_seconds$/);
      }
    }
  });
});

describe("the API's metrics", () => {
  const count = (operation: string) =>
    `howdah_graphql_request_duration_seconds_count{operation="${operation}"}`;

  it("count requests by operation, errors by code, log-ins by outcome", async () => {
    const { email, token } = await api.signUp();
    await api.graphql("query Counted { me { id } }", { token });
    await api.graphql("query Counted { me { id } }", { token });
    await api.graphql("{ __typename }");
    await api.graphql("query NotThere { nothing }");
    await api.graphql(
      `mutation { logIn(input: {identifier: "${email}", password: "wrong one"}) { tokens { userId } } }`,
    );
    await becomes(api.opsUrl, count("Counted"), 2);
    await becomes(api.opsUrl, count("invalid"), 1);
    await becomes(api.opsUrl, 'howdah_errors_total{code="UNAUTHENTICATED"}', 1);
    await becomes(api.opsUrl, 'howdah_log_ins_total{method="password",outcome="refused"}', 1);
    expect(await value(api.opsUrl, count("NotThere"))).toBeUndefined();
    expect(await value(api.opsUrl, "howdah_ready")).toBe(1);
    expect(await value(api.opsUrl, "howdah_listen_connected")).toBe(1);
    await until(
      () => value(api.opsUrl, "howdah_listen_lag_seconds"),
      (lag) => lag !== undefined && lag < 5,
    );
    expect(await value(api.opsUrl, 'howdah_pool_connections{state="idle"}')).toBeGreaterThan(0);
  });

  it("show sockets and what is open on them, until it is not", async () => {
    const { token } = await api.signUp();
    const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
    const open = socket.subscribe(
      "subscription Open { notificationReceived { notification { id } } }",
    );
    await becomes(api.opsUrl, "howdah_subscriptions", 1);
    expect(await value(api.opsUrl, "howdah_websockets")).toBe(1);
    await becomes(api.opsUrl, count("Open"), 1);
    open.unsubscribe();
    await becomes(api.opsUrl, "howdah_subscriptions", 0);
    socket.close();
    await becomes(api.opsUrl, "howdah_websockets", 0);
  });

  it("hold 200 names, whatever clients call their operations", () => {
    const label = createOperationNames();
    const labels = Array.from({ length: 500 }, (_, n) => label(`name${n}`));
    expect(new Set(labels).size).toBe(201);
    expect(label("name499")).toBe("other");
    expect(label("name0")).toBe("name0");
    expect([label(""), label(null)]).toEqual(["unnamed", "invalid"]);
  });
});

describe("the worker's metrics", () => {
  it("count pushes, jobs, what waits, pauses and what the breaker holds", async () => {
    const { owner } = api.database;
    const pushes = createPushes(api.database);
    const { id } = await pushes.userWithDevices("phone", "phone", "unregistered");
    await pushes.settled(await pushes.notify([id]));
    const outcome = (name: string) => `howdah_pushes_total{platform="android",outcome="${name}"}`;
    await becomes(worker.opsUrl, outcome("accepted"), 2);
    await becomes(worker.opsUrl, outcome("dead_address"), 1);
    await becomes(worker.opsUrl, 'howdah_jobs_total{task="deliver_pushes",outcome="done"}', 1);
    await owner.query(
      `insert into app_public.push_pauses (device_type, error_code, paused_until)
       values ('ios', 'OPERATOR', now() + interval '1 hour')`,
    );
    await owner.query("select app_private.trip_circuit_breaker('web', 12)");
    await owner.query(
      "select graphile_worker.add_job('unknown', run_at := now() - interval '1 hour')",
    );
    await becomes(worker.opsUrl, 'howdah_push_pauses{platform="ios"}', 1);
    expect(await value(worker.opsUrl, 'howdah_push_breaker_deliveries{platform="web"}')).toBe(12);
    expect(await value(worker.opsUrl, 'howdah_queue_jobs{task="unknown",state="waiting"}')).toBe(1);
    expect(
      await value(worker.opsUrl, 'howdah_queue_oldest_seconds{task="unknown"}'),
    ).toBeGreaterThan(3500);
    expect(await value(worker.opsUrl, "howdah_workers")).toBe(1);
    expect(await value(worker.opsUrl, "howdah_listen_connected")).toBe(1);
  });
});
