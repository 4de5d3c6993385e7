import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
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
  await api.database.owner.query(`
    create view app_audiences.tested_old_items as
      select distinct user_id from app_public.items where created_at < now() - interval '1 week';
    create function app_audiences.everybody() returns setof int language sql stable
      as 'select id from app_public.users';
    create view app_audiences.no_user_ids as select 1 as id;
    create view app_audiences.broken as select id / (id - id) as user_id from app_public.users;
    create function app_audiences.wants_arguments(a int) returns setof int language sql as 'select a';
  `);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

function send(input: Record<string, unknown>) {
  return api.graphql(
    `mutation ($input: SendNotificationInput!) {
      sendNotification(input: $input) {
        notification { id status users audience } reach { recipients devices } } }`,
    {
      token: operator.token,
      variables: { input: { event: "news", message: "Hello", ...input } },
    },
  );
}

function hoursAhead(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}

async function queued() {
  const { rows } = await api.database.owner.query(
    `select (select count(*)::int from app_public.notifications) as notifications,
       (select count(*)::int from app_private.notification_audience) as audience,
       (select count(*)::int from graphile_worker.jobs) as jobs`,
  );
  return rows[0];
}

describe("a named audience", () => {
  it("is a view of the developer's: all users with an item older than a week", async () => {
    const old = await pushes.userWithDevices("phone", "tablet");
    const recent = await pushes.userWithDevices("phone");
    await api.database.owner.query(
      `insert into app_public.items (user_id, title, created_at) values
         ($1, 'Saddle', now() - interval '8 days'), ($1, 'Parasol', now() - interval '9 days'),
         ($2, 'Ladder', now())`,
      [old.id, recent.id],
    );
    const { data, errors } = await send({ audience: "tested_old_items" });
    expect(errors).toEqual([]);
    const { id } = data.sendNotification.notification;
    const { status, deliveries } = await pushes.settled(id);
    expect(status).toBe("sent");
    expect(deliveries.map(({ token }) => token).sort()).toEqual([...old.tokens].sort());
    const { data: after } = await api.graphql(`{ notification(id: ${id}) { users audience } }`, {
      token: operator.token,
    });
    expect(after.notification).toEqual({ users: [old.id], audience: "tested_old_items" });
  });

  it("is a function of the developer's", async () => {
    const { data } = await send({ audience: "everybody" });
    const { status } = await pushes.settled(data.sendNotification.notification.id);
    expect(status).toBe("sent");
  });

  it.each([
    "nobody_made_this",
    "no_user_ids",
    "wants_arguments",
    "tested_old_items; drop table app_public.items",
    '"tested_old_items"',
    "app_public.users",
    "",
  ])("that is none (%s) is BAD_USER_INPUT, and queues nothing", async (audience) => {
    // What the tests before left to do is done first.
    const before = await until(queued, ({ jobs }) => jobs === 0);
    const { errors } = await send({ audience });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "audience" });
    expect(await queued()).toEqual(before);
  });

  it("needs no users before it in SQL", async () => {
    const { rows } = await api.database.owner.query(
      "select id, audience from app_private.notify(audience => 'everybody', event => 'news', message => 'Hello')",
    );
    expect(rows).toMatchObject([{ audience: "everybody" }]);
    await pushes.settled(rows[0].id);
  });

  it.each([
    ["nobody", 'There is no audience "nobody"; there are: broken, everybody, tested_old_items.'],
    ["no_user_ids", '"no_user_ids" is no audience: it has no column user_id of the type int.'],
    [
      "wants_arguments",
      '"wants_arguments" is no audience: it is no function without arguments that returns setof int.',
    ],
  ])("that is none is told why, and what there is (%s)", async (audience, message) => {
    expect((await send({ audience })).errors[0]?.message).toBe(message);
  });

  it("and users together are BAD_USER_INPUT", async () => {
    const { errors } = await send({ audience: "everybody", users: [operator.userId] });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "audience" });
  });
});

describe("dryRun", () => {
  it("counts recipients and devices, and queues nothing", async () => {
    const user = await pushes.userWithDevices("phone", "tablet");
    const other = await pushes.userWithDevices();
    const before = await queued();
    const { data, errors } = await send({ users: [user.id, other.id, user.id], dryRun: true });
    expect(errors).toEqual([]);
    expect(data.sendNotification).toEqual({
      notification: null,
      reach: { recipients: 2, devices: 2 },
    });
    expect(await queued()).toEqual(before);
  });

  it("counts an audience, too", async () => {
    const { data } = await send({ audience: "tested_old_items", dryRun: true });
    expect(data.sendNotification.reach).toEqual({ recipients: 1, devices: 2 });
  });

  it("names an audience whose SQL fails, without its error", async () => {
    const { errors } = await send({ audience: "broken", dryRun: true });
    expect(errors[0]).toMatchObject({
      message: 'The audience "broken" cannot be looked up: its SQL fails.',
      extensions: { code: "BAD_USER_INPUT", field: "audience" },
    });
    expect(JSON.stringify(errors)).not.toContain("division");
  });

  it("refuses what would be refused", async () => {
    const { errors } = await send({ users: [2_000_000_000], dryRun: true });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "users" });
  });
});

it.each([
  ["sendAt", { sendAt: "2020-01-01T00:00:00Z" }],
  ["sendAtLocal", { sendAtLocal: "2020-01-01T09:00:00" }],
  ["sendAtLocal", { sendAtLocal: "2027-01-01T09:00:00Z" }],
  ["sendAtLocal", { sendAtLocal: "2027-01-01T09:00:00+02:00" }],
  ["sendAtLocal", { sendAtLocal: "2027-01-01T09:00:00+00:00:00" }],
  ["sendAtLocal", { sendAtLocal: "2027-01-01T09:00:00 Europe/Berlin" }],
  ["sendAtLocal", { sendAtLocal: "2090-01-01T09:00:00" }],
  ["message", { message: "\n" }],
  ["message", { message: "\u200b \u2060" }],
  ["collapseKey", { collapseKey: "a\nb" }],
  ["collapseKey", { collapseKey: "\u0001\u007f" }],
  ["sendAtLocal", { sendAtLocal: "2027-01-01T09:00:00", sendAt: "2027-01-01T00:00:00Z" }],
  ["sendAtLocal", { sendAtLocal: "2027-02-30T09:00:00" }],
  ["sendAt", { sendAt: "tomorrow" }],
  ["sendAt", { sendAt: "2027-02-30T09:00:00Z" }],
  ["sendAt", { sendAt: "2027-01-01T25:00:00Z" }],
  ["sendAt", { sendAt: "2090-01-01T00:00:00Z" }],
  ["event", { event: "A b" }],
  ["data", { data: [1] }],
  ["collapseKey", { collapseKey: "k".repeat(65) }],
  ["expiresAt", { expiresAt: hoursAhead(24 * 7 * 5) }],
  ["unreadSeconds", { unreadSeconds: 0 }],
  ["unreadSeconds", { unreadSeconds: -1 }],
  // What could never be sent: it counts as read at once, or is due after it has expired.
  ["unreadSeconds", { unreadSeconds: 5, silent: true }],
  ["expiresAt", { sendAtLocal: hoursAhead(10).replace("Z", ""), expiresAt: hoursAhead(9) }],
  [
    "unreadSeconds",
    {
      sendAtLocal: hoursAhead(10).replace("Z", ""),
      expiresAt: hoursAhead(11),
      unreadSeconds: 7200,
    },
  ],
])(
  "a bad %s (%j) is BAD_USER_INPUT that names the field, and queues nothing",
  async (field, input) => {
    const before = await queued();
    const { errors } = await send({ users: [operator.userId], ...input });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field });
    expect(await queued()).toEqual(before);
  },
);

it("10,000 duplicates are BAD_USER_INPUT, and queue nothing", async () => {
  const before = await queued();
  const { errors } = await send({ users: Array(10_000).fill(operator.userId) });
  expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "users" });
  expect(await queued()).toEqual(before);
});

it("a fan-out to 12,000 users goes in chunks, and reaches each once", async () => {
  const { owner } = api.database;
  await owner.query(
    `insert into app_public.users (first_name) select 'Crowd' from generate_series(1, 12000)`,
  );
  const { rows } = await owner.query(
    "select array_agg(id) as ids from app_public.users where first_name = 'Crowd'",
  );
  const { rows: sent } = await owner.query("select id from app_private.notify($1, 'e', 'm')", [
    rows[0].ids,
  ]);
  expect((await pushes.settled(sent[0].id, 20_000)).status).toBe("no_devices");
  const { rowCount } = await owner.query(
    "select from app_public.notification_recipients where notification_id = $1",
    [sent[0].id],
  );
  expect(rowCount).toBe(12_000);
}, 30_000);
