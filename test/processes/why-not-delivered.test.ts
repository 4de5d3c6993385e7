import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, createOperator, createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { howdah, howdahJson } from "../support/howdah.ts";

let database: TestDatabase;
let operator: number;
beforeAll(async () => {
  database = await createTestDatabase();
  operator = await createOperator(database);
  await database.owner.query(`
    create or replace view app_audiences.nobody as select id as user_id from app_public.users where false;
    create or replace view app_audiences.everybody as select id as user_id from app_public.users`);
});
afterAll(() => database.drop());

const sql = (text: string, values: unknown[] = []) => database.owner.query(text, values);
const WORKER = "00000000-0000-4000-8000-000000000001";

/** A user with a phone, and a notification to them that has been fanned out, unless `more` says otherwise. */
async function sent(
  options: { more?: string; devices?: number; fanOut?: boolean; audience?: string } = {},
) {
  const user = await createUser(database);
  for (let n = 0; n < (options.devices ?? 1); n += 1) {
    await sql(
      "insert into app_public.device_tokens (user_id, token, device_type) values ($1, $2, 'ios')",
      [user, `phone-${user}-${n}`],
    );
  }
  const { rows } = await sql(
    `select id from app_private.notify($1, 'test.event', 'A message', audience => $2${options.more ?? ""})`,
    options.audience ? [null, options.audience] : [[user], null],
  );
  const id: number = rows[0].id;
  if (options.fanOut !== false) {
    for (let more = true; more; ) {
      const answer = await sql("select app_private.fan_out_notification($1, 100) as more", [id]);
      more = answer.rows[0].more;
    }
  }
  return { user, id };
}

const alive = () =>
  sql("insert into app_private.workers (id) values ($1) on conflict do nothing", [WORKER]);
const claim = (id: number) =>
  sql(
    `select app_private.claim_batch(b.id, $2) from app_private.delivery_batches b
     where b.notification_id = $1 order by b.id`,
    [id, WORKER],
  );
const set = (id: number, change: string) =>
  sql(`update app_public.notification_deliveries set ${change} where notification_id = $1`, [id]);

async function devicePaused(code: string) {
  const found = await sent();
  await sql(
    `update app_public.device_tokens
     set paused_until = now() + interval '5 minutes', pause_error_code = $2 where user_id = $1`,
    [found.user, code],
  );
  return found;
}

/** What the API answers to an operator, or to somebody who asks about themself. */
const explain = (actor: { user: number } | { operator: number }, id: number, user: number) =>
  as(database, actor, async (client) => {
    const asked = "select app_public.explain_delivery($1, $2) as sentence";
    return (await client.query(asked, [id, user])).rows[0].sentence as string;
  });

/** Each way not to arrive: what happened, and what the operator is told. */
const CASES: [reason: string, says: RegExp, happen: () => Promise<{ user: number; id: number }>][] =
  [
    [
      "not_a_recipient",
      /they are not among its recipients\.$/,
      async () => ({ ...(await sent()), user: await createUser(database) }),
    ],
    [
      "not_a_recipient",
      /not in the audience nobody when it was looked up\.$/,
      () => sent({ audience: "nobody" }),
    ],
    [
      "no_device",
      /they have never registered a device; it is in their inbox\.$/,
      () => sent({ devices: 0 }),
    ],
    [
      "no_device",
      /no device any more, the last was disabled at .* UTC \(logged_out\)/,
      async () => {
        const user = await createUser(database);
        await sql(
          `insert into app_public.device_tokens (user_id, token, device_type, disabled_at, disabled_reason)
           values ($1, gen_random_uuid()::text, 'web', now(), 'logged_out')`,
          [user],
        );
        const { rows } = await sql("select id from app_private.notify($1, 'e', 'm')", [[user]]);
        await sql("select app_private.fan_out_notification($1, 100)", [rows[0].id]);
        return { user, id: rows[0].id };
      },
    ],
    [
      "user_disabled",
      /their account is disabled since /,
      async () => {
        const { user } = await sent();
        await sql("select app_private.disable_user($1)", [user]);
        const { rows } = await sql("select id from app_private.notify($1, 'e', 'm')", [[user]]);
        await sql("select app_private.fan_out_notification($1, 100)", [rows[0].id]);
        return { user, id: rows[0].id };
      },
    ],
    [
      "muted",
      /device \d+ \(ios\) was skipped: the user has muted test\.event\.$/,
      async () => {
        const found = await sent();
        await sql(
          "insert into app_public.notification_preferences (user_id, event, is_push_enabled) values ($1, 'test.event', false)",
          [found.user],
        );
        await claim(found.id);
        return found;
      },
    ],
    [
      "quiet_hours",
      /waits for the end of the user's quiet hours at .* UTC\.$/,
      async () => {
        const found = await sent();
        await sql(
          `insert into app_public.quiet_hours (user_id, starts, ends)
           values ($1, (now() - interval '1 hour')::time, (now() + interval '1 hour')::time)`,
          [found.user],
        );
        await claim(found.id);
        return found;
      },
    ],
    [
      "read",
      /was skipped: it had been read at .* UTC\.$/,
      async () => {
        const found = await sent({ more: ", unread_seconds => 1" });
        await sql(
          "update app_public.notification_recipients set read_at = now() where user_id = $1",
          [found.user],
        );
        await claim(found.id);
        return found;
      },
    ],
    [
      "device_gone",
      /was disabled \(unregistered\) before it was sent\.$/,
      async () => {
        const found = await sent();
        await sql(
          "update app_public.device_tokens set disabled_at = now(), disabled_reason = 'unregistered' where user_id = $1",
          [found.user],
        );
        await claim(found.id);
        return found;
      },
    ],
    [
      "dead_address",
      /has a dead address \(UNREGISTERED\): the app has to register it anew\.$/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'dead_address', error_code = 'UNREGISTERED', attempts = 1");
        return found;
      },
    ],
    [
      "failed",
      /was refused by FCM for good \(INVALID_ARGUMENT: Invalid data payload key: from\)\.$/,
      async () => {
        const found = await sent();
        await set(
          found.id,
          "status = 'failed', error_code = 'INVALID_ARGUMENT', error_message = 'Invalid data payload key: from', attempts = 1",
        );
        return found;
      },
    ],
    [
      "failed",
      /was refused by FCM for good \(INVALID_ARGUMENT\)\.$/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'failed', error_code = 'INVALID_ARGUMENT', attempts = 1");
        return found;
      },
    ],
    [
      "unknown",
      /may have got it: FCM did not answer \(TIMEOUT\)/,
      async () => {
        const found = await sent({ more: ", delivery => 'at_most_once'" });
        await set(found.id, "status = 'unknown', error_code = 'TIMEOUT', attempts = 1");
        return found;
      },
    ],
    [
      "expired",
      /had not been reached when it expired at .* UTC \(last answer: UNAVAILABLE\)\.$/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'expired', error_code = 'UNAVAILABLE', attempts = 3");
        return found;
      },
    ],
    [
      "expired",
      /when it expired at .* UTC \(it waited for the end of the user's quiet hours\)\.$/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'expired', error_code = 'QUIET_HOURS'");
        return found;
      },
    ],
    [
      "expired",
      /when it expired at .* UTC, while pushes were paused \(THIRD_PARTY_AUTH_ERROR, pause \d+\)\.$/,
      async () => {
        const found = await sent({ more: ", expires_at => now() + interval '1 second'" });
        await set(found.id, "status = 'expired'");
        await sql(
          `insert into app_public.push_pauses (device_type, error_code, paused_until, ended_at)
           values ('ios', 'THIRD_PARTY_AUTH_ERROR', now() + interval '1 minute', now() + interval '2 minutes')`,
        );
        return found;
      },
    ],
    [
      "expired",
      /it expired at .* UTC before it came to them\.$/,
      async () => {
        const found = await sent({ fanOut: false });
        await sql("update app_public.notifications set status = 'expired' where id = $1", [
          found.id,
        ]);
        return found;
      },
    ],
    [
      "canceled",
      /had not been reached when it was canceled\.$/,
      async () => {
        const found = await sent();
        await sql("select app_public.cancel_notification($1)", [found.id]);
        return found;
      },
    ],
    [
      "canceled",
      /it was canceled before it came to them\.$/,
      async () => {
        const found = await sent({ fanOut: false });
        await sql("select app_public.cancel_notification($1)", [found.id]);
        return found;
      },
    ],
    [
      "scheduled",
      /it is due at .* UTC\.$/,
      () => sent({ fanOut: false, more: ", send_at => now() + interval '1 day'" }),
    ],
    [
      "scheduled",
      /due for them at 2027-03-28 02:30:00 by their own clock, which is 2027-03-28 01:30:00 UTC\.$/,
      async () => {
        const found = await sent({ fanOut: false, more: ", send_at_local => '2027-03-28 02:30'" });
        await sql("update app_public.users set timezone = 'Europe/Berlin' where id = $1", [
          found.user,
        ]);
        return found;
      },
    ],
    [
      "scheduled",
      /due for them at .* by their own clock, which is .* UTC\.$/,
      // Its users are known, and wait for their local time.
      () => sent({ more: ", send_at_local => (now() + interval '1 day')::timestamp" }),
    ],
    [
      "not_fanned_out",
      /it has not been fanned out to them: its job failed \(division by zero\)\.$/,
      async () => {
        await alive();
        const found = await sent({ fanOut: false, audience: "everybody" });
        await sql(
          "update graphile_worker._private_jobs set last_error = e'division by zero\\nstack' where key = $1",
          [`fan_out_notification:${found.id}`],
        );
        return found;
      },
    ],
    [
      "user_gone",
      /they closed their account at /,
      async () => {
        const found = await sent({ fanOut: false });
        await sql("select app_private.close_account($1, null, null)", [found.user]);
        await sql("select app_private.fan_out_notification($1, 100)", [found.id]);
        return found;
      },
    ],
    [
      "no_worker",
      /waits for a worker, and none is alive\.$/,
      async () => {
        await sql("delete from app_private.workers");
        return sent();
      },
    ],
    [
      "not_fanned_out",
      /it has not been fanned out to them: no worker is alive\.$/,
      () => sent({ fanOut: false }),
    ],
    [
      "breaker",
      /is held by circuit breaker \d+, because suspiciously many addresses seemed dead/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'retrying', next_attempt_at = 'infinity', attempts = 1");
        await sql(
          `update app_private.delivery_batches set circuit_breaker_id = app_private.trip_circuit_breaker('ios', 1)
           where notification_id = $1`,
          [found.id],
        );
        return found;
      },
    ],
    [
      "retrying",
      /was tried once, FCM's last answer was UNAVAILABLE, and is tried again at .* UTC\.$/,
      async () => {
        await alive();
        const found = await sent();
        await set(
          found.id,
          "status = 'retrying', error_code = 'UNAVAILABLE', attempts = 1, next_attempt_at = now() + interval '5 minutes'",
        );
        return found;
      },
    ],
    [
      "read",
      /is not sent it any more: it was read at .* UTC\.$/,
      async () => {
        const found = await sent({ more: ", unread_seconds => 600" });
        await sql(
          "update app_public.notification_recipients set read_at = now() where user_id = $1",
          [found.user],
        );
        return found;
      },
    ],
    [
      "other_project",
      /waits until .* UTC: FCM answered SENDER_ID_MISMATCH, the token belongs to another Firebase project, so the configuration of the app has to be mended/,
      () => devicePaused("SENDER_ID_MISMATCH"),
    ],
    [
      "device_refused",
      /waits until .* UTC: FCM answered THIRD_PARTY_AUTH_ERROR, the platform refuses FCM's credentials, so the APNs key/,
      () => devicePaused("THIRD_PARTY_AUTH_ERROR"),
    ],
    [
      "device_paused",
      /waits until .* UTC: FCM wants fewer messages for it\.$/,
      () => devicePaused("QUOTA_EXCEEDED"),
    ],
    [
      "waiting",
      /waits until .* UTC, in case it is read before \(unreadSeconds\)\.$/,
      () => sent({ more: ", unread_seconds => 600" }),
    ],
    [
      "sending",
      /is being sent it at this moment\.$/,
      async () => {
        const found = await sent();
        await claim(found.id);
        return found;
      },
    ],
    [
      "accepted",
      /^Notification \d+ is not known to have reached user \d+: device \d+ \(ios\) was sent it, FCM accepted it at .* but the app has not acknowledged it/,
      async () => {
        const found = await sent();
        await set(found.id, "status = 'accepted', message_id = 'm', sent_at = now()");
        return found;
      },
    ],
    [
      "acknowledged",
      /^Notification \d+ did reach user \d+: the app on device \d+ \(ios\) said so at /,
      async () => {
        const found = await sent({ devices: 2 });
        await set(found.id, "status = 'acknowledged', sent_at = now(), acknowledged_at = now()");
        return found;
      },
    ],
    [
      "paused",
      /waits: pushes are paused until .* UTC \(OPERATOR: new APNs key, pause \d+\)\.$/,
      async () => {
        const { ownerUrl } = database;
        const paused = await howdahJson<{ id: number }>(
          ownerUrl,
          ...["pause", "--platform", "ios", "--minutes", "30", "--reason", "new APNs key"],
        );
        const found = await sent();
        await claim(found.id);
        expect((await howdah(ownerUrl, "pauses")).output).toContain("OPERATOR: new APNs key");
        expect(paused.id).toBeGreaterThan(0);
        return found;
      },
    ],
  ];

describe("why a notification was not delivered", () => {
  it.each(CASES)("%s %s", async (reason, says, happen) => {
    const { user, id } = await happen();
    const call = ["deliveries", "--notification", String(id), "--user", String(user)];
    const told = await howdahJson<{ sentence: string }>(database.ownerUrl, ...call);
    expect(told).toMatchObject({ reason, sentence: expect.stringMatching(says) });
    expect(await explain({ operator }, id, user)).toBe(told.sentence);
  });

  it("is one line of the tool's", async () => {
    const { user, id } = await sent({ devices: 0 });
    expect(await howdah(database.ownerUrl, "deliveries", `${id}`, "--user", `${user}`)).toEqual({
      code: 0,
      output: `Notification ${id} did not reach user ${user}: they have never registered a device; it is in their inbox.`,
    });
  });

  it("is said of each device", async () => {
    const { user, id } = await sent({ devices: 4 });
    const { rows } = await sql(
      `update app_public.notification_deliveries d
       set status = s.status::app_public.delivery_status, error_code = s.error_code, attempts = 1,
         sent_at = now()
       from (values (1, 'accepted', null), (2, 'dead_address', 'UNREGISTERED'), (3, 'failed', 'INVALID_ARGUMENT'))
         as s(n, status, error_code),
         (select id, row_number() over (order by id) as n from app_public.notification_deliveries
          where notification_id = $1) as numbered
       where d.id = numbered.id and s.n = numbered.n returning d.id`,
      [id],
    );
    expect(rows).toHaveLength(3);
    const sentence = await explain({ operator }, id, user);
    expect(sentence).toMatch(
      /^Notification \d+ is not known to have reached user \d+: device \d+ \(ios\) was sent it.*; device \d+ \(ios\) has a dead address.*; device \d+ \(ios\) was refused.*; device \d+ \(ios\) waits/,
    );
  });

  it("is a user's to ask about themself alone, and they are told nothing of the operators' business", async () => {
    const { user, id } = await sent({ devices: 2 });
    const stranger = await createUser(database);
    for (const actor of [{ user: stranger }, { user }]) {
      const other = actor.user === user ? stranger : user;
      await expect(explain(actor, id, other)).rejects.toMatchObject({ code: "HWNFD" });
    }
    await expect(explain({ user: stranger }, id, stranger)).rejects.toMatchObject({
      code: "HWNFD",
    });
    await set(id, "status = 'failed', error_code = 'INVALID_ARGUMENT', error_message = 'Secretly'");
    await sql(
      `update app_public.notification_deliveries set status = 'queued'
       where id = (select max(id) from app_public.notification_deliveries where notification_id = $1)`,
      [id],
    );
    const told = await explain({ user }, id, user);
    expect(told).toMatch(/was refused by FCM for good \(INVALID_ARGUMENT\); device \d+ \(ios\) /);
    expect(told).not.toMatch(/Secretly|OPERATOR|pause \d|worker, and none/);
    expect(await explain({ operator }, id, user)).toContain("Secretly");
    const words = (actor: { user: number } | { operator: number }) =>
      as(database, actor, async (client) => {
        const { rows } = await client.query(
          `select app_public.notification_deliveries_error_message(d) as words
           from app_public.notification_deliveries d where d.notification_id = $1 order by d.id`,
          [id],
        );
        return rows.map((row) => row.words);
      });
    expect(await words({ user })).toEqual([null, null]);
    // Of what is queued again it is no reason any more.
    expect(await words({ operator })).toEqual(["Secretly", null]);
  });

  it("says what is not there", async () => {
    const { user, id } = await sent();
    expect(
      await howdah(database.ownerUrl, "deliveries", "--notification", "999", "--user", `${user}`),
    ).toEqual({ code: 1, output: "There is no notification 999." });
    expect(await howdah(database.ownerUrl, "deliveries", `${id}`, "--user", "99999")).toEqual({
      code: 1,
      output: "There is no user 99999.",
    });
    expect(await howdah(database.ownerUrl, "deliveries", "999")).toEqual({
      code: 1,
      output: "There is no notification 999.",
    });
    const later = await sent({ fanOut: false });
    expect(await howdah(database.ownerUrl, "deliveries", `${later.id}`)).toEqual({
      code: 1,
      output: `Notification ${later.id} has no deliveries: it has not been fanned out yet.`,
    });
    await sql("update graphile_worker._private_jobs set last_error = 'Broken.' where key = $1", [
      `fan_out_notification:${later.id}`,
    ]);
    expect((await howdah(database.ownerUrl, "deliveries", `${later.id}`)).output).toBe(
      `Notification ${later.id} has no deliveries: its job failed (Broken.).`,
    );
  });
});
