import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { howdah } from "../support/howdah.ts";
import { createPushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
let pushes: ReturnType<typeof createPushes>;
let operator: Account;

beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
  pushes = createPushes(api.database);
  operator = await api.signUpOperator();
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});
afterEach(async () => {
  worker.emulator.faults.clear();
  await api.database.owner.query("update app_public.push_pauses set ended_at = now()");
});

const asOperator = async (query: string) => {
  const { data, errors } = await api.graphql(query, { token: operator.token });
  expect(errors).toEqual([]);
  return data;
};

async function openPauses(): Promise<{ id: number; errorCode: string; deviceType: string }[]> {
  const data = await asOperator(
    "{ pushPauses { nodes { id errorCode deviceType occurrences endedAt } } }",
  );
  return data.pushPauses.nodes.filter(({ endedAt }: { endedAt: unknown }) => endedAt === null);
}

describe("a pause", () => {
  it("is seen and lifted by an operator, and what waited is sent at once", async () => {
    worker.emulator.faults.add({ match: "waits", respond: "QUOTA_EXCEEDED", times: 1 });
    const first = await pushes.userWithDevices("waits");
    const firstId = await pushes.notify([first.id]);
    const [pause] = await until(openPauses, (open) => open.length === 1);
    expect(pause).toMatchObject({ errorCode: "QUOTA_EXCEEDED", deviceType: null });
    const second = await pushes.userWithDevices("phone");
    const secondId = await pushes.notify([second.id]);
    await until(
      async () =>
        (
          await api.database.owner.query(
            "select from app_private.delivery_batches where run_at > now() + interval '20 seconds'",
          )
        ).rowCount,
      (waiting) => waiting === 2,
    );
    await asOperator(
      `mutation { liftPushPause(input: {id: ${pause?.id}}) { pushPause { id endedAt } } }`,
    );
    for (const id of [firstId, secondId]) expect((await pushes.settled(id)).status).toBe("sent");
    expect(await openPauses()).toEqual([]);
  });

  it("is longer each time in a row, and over once FCM accepts again", async () => {
    const { owner } = api.database;
    const seconds = async (retryAfter = 0) => {
      const { rows } = await owner.query(
        `select extract(epoch from app_private.pause_pushes('web', 'QUOTA_EXCEEDED', $1, 60) - now())::float as s`,
        [retryAfter],
      );
      return rows[0].s as number;
    };
    const runOut = () =>
      owner.query("update app_public.push_pauses set paused_until = now() where ended_at is null");
    const first = await seconds();
    expect(first).toBeGreaterThanOrEqual(59);
    expect(first).toBeLessThan(76);
    // Batches that were under way meet the same pause: no second occurrence.
    expect(await seconds()).toBeLessThan(76);
    await runOut();
    expect(await seconds()).toBeGreaterThanOrEqual(119);
    await runOut();
    expect(await seconds(5000)).toBeGreaterThan(4990);
    await runOut();
    await owner.query("select app_private.end_pauses('web')");
    expect(await seconds()).toBeLessThan(76);
  });

  it("is seen and lifted on the command line, too", async () => {
    const { owner, ownerUrl } = api.database;
    const { rows } = await owner.query(
      `insert into app_public.push_pauses (device_type, error_code, paused_until)
       values ('ios', 'THIRD_PARTY_AUTH_ERROR', now() + interval '1 hour') returning id`,
    );
    const tell = (...args: string[]) => howdah(ownerUrl, ...args);
    expect(await tell("pauses")).toMatchObject({
      code: 0,
      output: expect.stringContaining("THIRD_PARTY_AUTH_ERROR"),
    });
    expect(await tell("pause:lift", String(rows[0].id))).toEqual({
      code: 0,
      output: `Pause ${rows[0].id} is over.`,
    });
    expect(await tell("pause:lift", String(rows[0].id))).toEqual({
      code: 1,
      output: expect.stringMatching(/^This pause is over already, since .* UTC\.$/),
    });
    expect(await tell("breaker:decide", "x")).toEqual({
      code: 2,
      output: "Which circuit breaker? Give its id.",
    });
  });

  it("and a decision that are over are CONFLICT, which is not NOT_FOUND", async () => {
    const { owner } = api.database;
    const { rows } = await owner.query(
      `with pause as (
         insert into app_public.push_pauses (error_code, paused_until, ended_at)
         values ('QUOTA_EXCEEDED', now(), now()) returning id
       ), breaker as (
         insert into app_public.circuit_breakers (device_type, decision, decided_at)
         values ('web', 'retry', now()) returning id
       )
       select pause.id as pause, breaker.id as breaker from pause, breaker`,
    );
    const { pause, breaker } = rows[0];
    for (const [mutation, code, says] of [
      [`liftPushPause(input: {id: ${pause}})`, "CONFLICT", /over already/],
      [`liftPushPause(input: {id: 99999})`, "NOT_FOUND", /no such pause/],
      [
        `decideCircuitBreaker(input: {id: ${breaker}, decision: "tombstone"})`,
        "CONFLICT",
        /decided already: retry, at .* UTC/,
      ],
      [
        `decideCircuitBreaker(input: {id: 99999, decision: "retry"})`,
        "NOT_FOUND",
        /no such circuit breaker/,
      ],
    ] as const) {
      const { errors } = await api.graphql(`mutation { ${mutation} { clientMutationId } }`, {
        token: operator.token,
      });
      expect(errors[0]).toMatchObject({
        message: expect.stringMatching(says),
        extensions: { code },
      });
    }
  });

  it("is nobody's to see or lift but an operator's", async () => {
    const { token } = await api.signUp();
    for (const query of [
      "{ pushPauses { nodes { id } } }",
      "{ circuitBreakers { nodes { id } } }",
      "mutation { liftPushPause(input: {id: 1}) { clientMutationId } }",
      'mutation { decideCircuitBreaker(input: {id: 1, decision: "retry"}) { clientMutationId } }',
    ]) {
      expect((await api.graphql(query, { token })).errors[0]?.extensions.code).toBe("FORBIDDEN");
    }
  });
});

describe("the circuit breaker", () => {
  /** 40 devices, of which 12 seem dead. */
  async function suspiciousBatch() {
    const dead = Array.from({ length: 12 }, () => "unregistered");
    const good = Array.from({ length: 28 }, () => "phone");
    const user = await pushes.userWithDevices(...dead, ...good);
    const id = await pushes.notify([user.id]);
    await until(
      () => pushes.ledger(id),
      ({ deliveries }) =>
        deliveries.length === 40 &&
        deliveries.every(({ status }) => ["accepted", "retrying"].includes(status)),
    );
    const data = await asOperator(
      "{ circuitBreakers { nodes { id deviceType deliveries decidedAt decision } } }",
    );
    const breaker = data.circuitBreakers.nodes.find(
      ({ decidedAt }: { decidedAt: unknown }) => decidedAt === null,
    );
    return { user, id, breaker };
  }
  const disabled = async (userId: number) =>
    (
      await api.database.owner.query(
        "select from app_public.device_tokens where user_id = $1 and disabled_at is not null",
        [userId],
      )
    ).rowCount;
  const decide = (id: number, decision: string) =>
    asOperator(
      `mutation { decideCircuitBreaker(input: {id: ${id}, decision: "${decision}"}) {
        circuitBreaker { decision } } }`,
    );

  it("trips where more than 20 % and more than 10 of a batch seem dead: nothing is tombstoned", async () => {
    const { user, id, breaker } = await suspiciousBatch();
    expect(await disabled(user.id)).toBe(0);
    expect(breaker).toMatchObject({ deviceType: "ANDROID", deliveries: 12, decision: null });
    expect((await pushes.ledger(id)).status).toBe("sending");
    await decide(breaker.id, "tombstone");
    expect(await disabled(user.id)).toBe(12);
    const { status, deliveries } = await pushes.settled(id);
    expect(status).toBe("partial");
    expect(deliveries.filter(({ status }) => status === "dead_address")).toHaveLength(12);
  });

  it("sends again where an operator says so", async () => {
    const { user, id, breaker } = await suspiciousBatch();
    worker.emulator.faults.add({ match: "unregistered", respond: "ACCEPT" });
    await decide(breaker.id, "retry");
    expect((await pushes.settled(id)).status).toBe("sent");
    expect(await disabled(user.id)).toBe(0);
  });

  it("holds until the notification expires, and no longer", async () => {
    const { id } = await suspiciousBatch();
    await api.database.owner.query(
      "update app_public.notifications set send_at = now() - interval '2 days', expires_at = now() where id = $1",
      [id],
    );
    await api.database.owner.query(
      "update app_private.delivery_batches set run_at = now() where notification_id = $1",
      [id],
    );
    const { deliveries } = await pushes.settled(id, 15_000);
    expect(deliveries.filter(({ status }) => status === "expired")).toHaveLength(12);
  });

  it("lets ten dead addresses of a batch die as usual", async () => {
    const user = await pushes.userWithDevices(...Array.from({ length: 10 }, () => "unregistered"));
    const { status } = await pushes.settled(await pushes.notify([user.id]));
    expect(status).toBe("failed");
    expect(await disabled(user.id)).toBe(10);
  });
});
