import { afterEach, describe, expect, it, vi } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { searchedLogger } from "../support/secrets.ts";
import { until } from "../support/until.ts";

// Each row of docs/push.md's table, through the unmodified firebase-admin.
const used = usePushes();

afterEach(async () => {
  used.worker.emulator.faults.clear();
  await used.database.owner.query("delete from app_public.push_pauses");
});

const why = async (notification: number, user: number) =>
  (
    await used.database.owner.query(
      "select reason, sentence from app_private.why_not_delivered($1, $2)",
      [notification, user],
    )
  ).rows[0];

/** What the ledger says once FCM has answered for the first time. */
async function answered(prefix: string, more = "") {
  const user = await used.pushes.userWithDevices(prefix);
  const id = await used.pushes.notify([user.id], more);
  const { deliveries } = await until(
    () => used.pushes.ledger(id),
    ({ deliveries: [first] }) =>
      first !== undefined && !["queued", "sending"].includes(first.status),
    20_000,
  );
  const { rows } = await used.database.owner.query(
    `select t.disabled_reason, d.error_message, extract(epoch from d.next_attempt_at - now())::float as wait
     from app_public.device_tokens t
     join app_public.notification_deliveries d on d.device_token_id = t.id
     where t.user_id = $1`,
    [user.id],
  );
  return { ...deliveries[0], ...rows[0], ...user, notificationId: id };
}

async function pauses() {
  const { rows } = await used.database.owner.query(
    `select device_type, error_code, occurrences,
       extract(epoch from paused_until - now())::float as seconds
     from app_public.push_pauses where ended_at is null order by id`,
  );
  return rows;
}

describe("FCM's answer", () => {
  it("200 is accepted, which acknowledgeDelivery makes acknowledged", async () => {
    expect(await answered("phone")).toMatchObject({
      status: "accepted",
      message_id: expect.stringMatching(/^projects\/howdah-emulator\/messages\//),
    });
  });

  it("404 UNREGISTERED tombstones the token, is never retried, and the job succeeds", async () => {
    const { rowCount } = await used.database.owner.query("select from graphile_worker.jobs");
    expect(await answered("unregistered")).toMatchObject({
      status: "dead_address",
      attempts: 1,
      error_code: "UNREGISTERED",
      disabled_reason: "dead_address",
    });
    await until(
      async () => (await used.database.owner.query("select from graphile_worker.jobs")).rowCount,
      (jobs) => jobs === rowCount,
    );
  });

  it.each(["invalid", "badtoken", "apnsgone"])(
    "400 INVALID_ARGUMENT about the token (%s) tombstones it",
    async (prefix) => {
      expect(await answered(prefix)).toMatchObject({
        status: "dead_address",
        error_code: "INVALID_ARGUMENT",
        disabled_reason: "dead_address",
      });
    },
  );

  it("400 INVALID_ARGUMENT about the payload fails the notification, and harms no token", async () => {
    const { notificationId, ...delivery } = await answered("payload");
    expect(delivery).toMatchObject({
      status: "failed",
      error_code: "INVALID_ARGUMENT",
      error_message: "Invalid data payload key: from (message.data)",
      disabled_reason: null,
    });
    expect(await why(notificationId, delivery.id)).toMatchObject({
      sentence: expect.stringContaining(
        "(INVALID_ARGUMENT: Invalid data payload key: from (message.data))",
      ),
    });
    expect((await used.pushes.settled(notificationId)).status).toBe("failed");
  });

  it.each([
    ["denied", "PERMISSION_DENIED"],
    ["unauthenticated", "UNAUTHENTICATED"],
  ])(
    "403 or 401 of the project (%s) stops this project's sending, and harms no token",
    async (prefix, code) => {
      expect(await answered(prefix)).toMatchObject({
        status: "retrying",
        error_code: code,
        disabled_reason: null,
      });
      expect(await pauses()).toMatchObject([{ device_type: null, error_code: code }]);
      // Another's push waits, whatever its platform.
      const other = await used.pushes.userWithDevices("phone");
      const id = await used.pushes.notify([other.id]);
      await until(
        () =>
          used.database.owner.query(
            `select run_at from app_private.delivery_batches where notification_id = $1
           and run_at > now() + interval '30 seconds'`,
            [id],
          ),
        ({ rowCount }) => rowCount === 1,
      );
      expect(used.worker.emulator.phones.messages(other.tokens[0] as string)).toEqual([]);
    },
  );

  it("403 SENDER_ID_MISMATCH of several users stops this project's sending; of one their devices wait alone", async () => {
    // A registration of another project, which anybody can send us.
    const [warned, alarmed] = [vi.spyOn(searchedLogger, "warn"), vi.spyOn(searchedLogger, "error")];
    const { notificationId, id: user, ...foreign } = await answered("mismatch");
    expect(foreign).toMatchObject({
      status: "retrying",
      error_code: "SENDER_ID_MISMATCH",
      disabled_reason: null,
    });
    expect(await why(notificationId, user)).toEqual({
      reason: "other_project",
      sentence: expect.stringMatching(/the token belongs to another Firebase project, so/),
    });
    expect(await pauses()).toEqual([]);
    const [one, two] = [
      await used.pushes.userWithDevices("mismatch"),
      await used.pushes.userWithDevices("mismatch"),
    ];
    const id = await used.pushes.notify([one.id, two.id]);
    await until(
      () => used.pushes.ledger(id),
      ({ deliveries }) => deliveries.filter(({ status }) => status === "retrying").length === 2,
    );
    expect(await pauses()).toMatchObject([{ device_type: null, error_code: "SENDER_ID_MISMATCH" }]);
    // Nobody can wake an operator by a registration of theirs.
    await until(
      async () => alarmed.mock.calls.length,
      (alarms) => alarms > 0,
    );
    expect(warned.mock.calls).toEqual([
      [
        expect.objectContaining({ alert: "devices: SENDER_ID_MISMATCH" }),
        "FCM refuses some devices: they wait",
      ],
    ]);
    expect(alarmed.mock.calls).toEqual([
      [
        expect.objectContaining({ alert: "SENDER_ID_MISMATCH", said: expect.any(String) }),
        "FCM refuses: sending is paused",
      ],
    ]);
    vi.restoreAllMocks();
  });

  it("401 THIRD_PARTY_AUTH_ERROR pauses that platform and keeps its addresses", async () => {
    expect(await answered("thirdparty")).toMatchObject({
      status: "retrying",
      error_code: "THIRD_PARTY_AUTH_ERROR",
      disabled_reason: null,
    });
    expect(await pauses()).toMatchObject([
      { device_type: "android", error_code: "THIRD_PARTY_AUTH_ERROR" },
    ]);
    const other = await used.pushes.userWithDevices();
    await used.database.owner.query(
      `insert into app_public.device_tokens (user_id, token, device_type)
       values ($1, 'still-ios', 'ios'), ($1, 'paused-android', 'android')`,
      [other.id],
    );
    await used.pushes.notify([other.id]);
    await used.worker.emulator.phones.nextMessage("still-ios", 5000);
    expect(used.worker.emulator.phones.messages("paused-android")).toEqual([]);
  });

  it("429 of the project pauses all, at least a minute without Retry-After", async () => {
    expect(await answered("quota")).toMatchObject({
      status: "retrying",
      error_code: "QUOTA_EXCEEDED",
      attempts: 1,
    });
    const [pause] = await pauses();
    expect(pause).toMatchObject({ device_type: null, error_code: "QUOTA_EXCEEDED" });
    expect(pause.seconds).toBeGreaterThan(55);
  });

  it("429 with Retry-After pauses as long as that says", async () => {
    used.worker.emulator.faults.add({
      match: "busy",
      respond: "QUOTA_EXCEEDED",
      retryAfter: 600,
    });
    const { wait } = await answered("busy");
    const [pause] = await pauses();
    expect(pause.seconds).toBeGreaterThan(590);
    expect(wait).toBeGreaterThan(590);
  });

  it("429 of a device makes that device wait, and nobody else", async () => {
    const { id, wait } = await answered("devicequota");
    expect(wait).toBeGreaterThan(50);
    expect(await pauses()).toEqual([]);
    const { rows } = await used.database.owner.query(
      "select paused_until > now() + interval '50 seconds' as waits from app_public.device_tokens where user_id = $1",
      [id],
    );
    expect(rows).toEqual([{ waits: true }]);
    const other = await used.pushes.userWithDevices("phone");
    expect((await used.pushes.settled(await used.pushes.notify([other.id]))).status).toBe("sent");
  });

  it("503 with Retry-After of more than a minute is tried again no sooner", async () => {
    used.worker.emulator.faults.add({ match: "full", respond: "UNAVAILABLE", retryAfter: 120 });
    const { wait, ...delivery } = await answered("full");
    expect(delivery).toMatchObject({ status: "retrying", error_code: "UNAVAILABLE" });
    expect(wait).toBeGreaterThan(110);
  });

  it.each([
    ["internal", "INTERNAL"],
    ["html", "HTTP_502"],
  ])("500 and a proxy's HTML (%s) are tried again, from a second on", async (prefix, code) => {
    const { wait, ...delivery } = await answered(prefix);
    expect(delivery).toMatchObject({ status: "retrying", error_code: code, disabled_reason: null });
    expect(wait).toBeLessThan(5);
    expect(await pauses()).toEqual([]);
  });

  it("500 to many and accepted for none is an outage: the project waits", async () => {
    used.worker.emulator.faults.add({ match: "outage", respond: "INTERNAL" });
    const { id } = await used.pushes.userWithDevices(...Array.from({ length: 12 }, () => "outage"));
    await used.pushes.notify([id]);
    await until(pauses, (found) => found.length === 1);
    expect(await pauses()).toMatchObject([{ device_type: null, error_code: "INTERNAL" }]);
  });
});
