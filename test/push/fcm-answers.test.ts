import { afterEach, describe, expect, it, vi } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { searchedLogger } from "../support/secrets.ts";
import { until } from "../support/until.ts";

// Each row of docs/push.md's table, through the unmodified firebase-admin.
const used = usePushes();

afterEach(async () => {
  used.worker.emulator.faults.clear();
  await used.database.owner.query("delete from app_public.push_pauses");
  // As if nothing had been accepted for long.
  await used.database.owner.query("delete from app_private.push_acceptances");
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

  /** One notification to a user for each of these tokens, all of which are refused; by when none is tried again. */
  async function refused(...prefixes: string[]) {
    const users: number[] = [];
    for (const prefix of prefixes) users.push((await used.pushes.userWithDevices(prefix)).id);
    const id = await used.pushes.notify(users);
    await until(
      () => used.pushes.ledger(id),
      ({ deliveries }) =>
        deliveries.filter(({ status }) => status === "retrying").length === prefixes.length,
    );
    const { rows } = await used.database.owner.query(
      `select count(*) filter (where t.paused_until > now() + interval '50 seconds')::int as waiting
       from app_public.device_tokens t
       join app_public.notification_deliveries d on d.device_token_id = t.id
       where d.notification_id = $1 and t.disabled_at is null`,
      [id],
    );
    return rows[0].waiting;
  }

  describe.each([
    ["403 SENDER_ID_MISMATCH", "mismatch", null],
    ["401 THIRD_PARTY_AUTH_ERROR", "thirdparty", "android"],
  ])("%s", (answer, prefix, device_type) => {
    const error_code = answer.slice(4);
    const accept = () =>
      used.pushes.userWithDevices("phone").then(({ id }) => used.pushes.notify([id]));
    const longAgo = (interval: string) =>
      used.database.owner.query(
        "update app_private.push_acceptances set accepted_at = now() - $1::interval",
        [interval],
      );

    it("of one user makes their devices wait alone, and wakes no operator: anybody can register such an address", async () => {
      const [warn, error] = [vi.spyOn(searchedLogger, "warn"), vi.spyOn(searchedLogger, "error")];
      expect(await refused(prefix)).toBe(1);
      expect(await pauses()).toEqual([]);
      await until(
        async () => warn.mock.calls,
        (calls) => calls.length > 0,
      );
      expect(warn.mock.calls).toEqual([
        [
          expect.objectContaining({ alert: `devices: ${error_code}` }),
          "FCM refuses some devices: they wait",
        ],
      ]);
      expect(error.mock.calls).toEqual([]);
      vi.restoreAllMocks();
    });

    it("of several users, where nothing is accepted, pauses what it is about, and says so", async () => {
      const error = vi.spyOn(searchedLogger, "error");
      expect(await refused(prefix, prefix)).toBe(0);
      expect(await pauses()).toMatchObject([{ device_type, error_code }]);
      await until(
        async () => error.mock.calls,
        (calls) => calls.length > 0,
      );
      expect(error.mock.calls).toEqual([
        [
          expect.objectContaining({ alert: error_code, said: expect.any(String) }),
          "FCM refuses: sending is paused",
        ],
      ]);
      vi.restoreAllMocks();
    });

    it("of several users, where the others' pushes are accepted, pauses nobody else's", async () => {
      for (const age of ["0 minutes", "2 minutes", "50 minutes"]) {
        await used.pushes.settled(await accept());
        await longAgo(age);
        expect(await refused(prefix, prefix), age).toBe(2);
        expect(await pauses(), age).toEqual([]);
      }
    });

    it("to several devices that were reached before, and to nobody else since, is our own credentials' fault", async () => {
      const before = [
        await used.pushes.userWithDevices("was"),
        await used.pushes.userWithDevices("was"),
      ];
      const users = before.map(({ id }) => id);
      await used.pushes.settled(await used.pushes.notify(users));
      used.worker.emulator.faults.add({
        match: "was",
        respond: error_code as "SENDER_ID_MISMATCH",
      });
      await longAgo("2 minutes");
      const error = vi.spyOn(searchedLogger, "error");
      await used.pushes.notify(users);
      expect(await until(pauses, (found) => found.length > 0)).toMatchObject([
        { device_type, error_code },
      ]);
      // It is said once it is written: not in the midst of the next test.
      await until(
        async () => error.mock.calls,
        (calls) => calls.length > 0,
      );
      vi.restoreAllMocks();
    });
  });

  it("403 SENDER_ID_MISMATCH is told as what it mostly is: another project's token", async () => {
    const { notificationId, id: user, ...foreign } = await answered("mismatch");
    expect(foreign).toMatchObject({ status: "retrying", disabled_reason: null });
    expect(await why(notificationId, user)).toEqual({
      reason: "other_project",
      sentence: expect.stringMatching(/the token belongs to another Firebase project/),
    });
  });

  it("401 THIRD_PARTY_AUTH_ERROR pauses no other platform", async () => {
    await refused("thirdparty", "thirdparty");
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

  it.each([
    ["over", 120, "at_least_once"],
    ["under", 40, "at_least_once"],
    ["under", 40, "at_most_once"],
  ])(
    "503 with Retry-After %s a minute (%s) is tried again no sooner, and by nobody else (%s)",
    async (over, retryAfter, delivery) => {
      const prefix = `full${over}${delivery}`;
      used.worker.emulator.faults.add({
        match: prefix,
        respond: "UNAVAILABLE",
        retryAfter,
        times: 1,
      });
      const { wait, notificationId, tokens, ...first } = await answered(
        prefix,
        `, delivery => '${delivery}'`,
      );
      expect(first).toMatchObject({ status: "retrying", error_code: "UNAVAILABLE", attempts: 1 });
      expect(wait).toBeGreaterThan(retryAfter - 10);
      await used.database.owner.query(
        "select app_private.postpone_batch(b.id, now()) from app_private.delivery_batches b where b.notification_id = $1",
        [notificationId],
      );
      expect((await used.pushes.settled(notificationId)).deliveries).toMatchObject([
        { status: "accepted", attempts: 2 },
      ]);
      expect(used.worker.emulator.phones.messages(tokens[0] as string)).toHaveLength(1);
    },
  );

  it.each([
    ["internal", "INTERNAL"],
    ["html", "HTTP_502"],
  ])("500 and a proxy's HTML (%s) are tried again, from a second on", async (prefix, code) => {
    const { wait, ...delivery } = await answered(prefix);
    expect(delivery).toMatchObject({ status: "retrying", error_code: code, disabled_reason: null });
    expect(wait).toBeLessThan(5);
    expect(await pauses()).toEqual([]);
  });

  it.each([
    ["500", "INTERNAL", 0],
    ["503 with Retry-After 45", "UNAVAILABLE", 45],
  ] as const)(
    "%s to many and accepted for none is an outage: the project waits, from the first batch on",
    async (_what, respond, retryAfter) => {
      used.worker.emulator.faults.add({ match: "outage", respond, retryAfter });
      const { id } = await used.pushes.userWithDevices(
        ...Array.from({ length: 12 }, () => "outage"),
      );
      await used.pushes.notify([id]);
      const [pause] = await until(pauses, (found) => found.length === 1);
      expect(pause).toMatchObject({ device_type: null, error_code: respond, occurrences: 1 });
      expect(pause.seconds).toBeGreaterThan(retryAfter - 10);
    },
  );
});
