import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
let ann: Account;
let bob: Account;
let operator: Account;

beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
  ann = await api.signUp();
  bob = await api.signUp();
  operator = await api.signUpOperator();
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

const REGISTER = `mutation ($input: RegisterDeviceInput!) {
  registerDevice(input: $input) { deviceToken { id userId deviceType disabledAt } } }`;
const SEND = `mutation ($input: SendNotificationInput!) {
  sendNotification(input: $input) { notification { id status users } } }`;

function register(account: Account, token: string, deviceType = "ANDROID") {
  return api.graphql(REGISTER, {
    token: account.token,
    variables: { input: { token, deviceType } },
  });
}

async function devices(account: Account): Promise<{ id: number }[]> {
  const { data } = await api.graphql("{ deviceTokens { nodes { id } } }", { token: account.token });
  return data.deviceTokens.nodes;
}

async function send(input: Record<string, unknown>): Promise<number> {
  const { data, errors } = await api.graphql(SEND, {
    token: operator.token,
    variables: { input: { event: "test.event", message: "Hello", ...input } },
  });
  expect(errors).toEqual([]);
  return data.sendNotification.notification.id;
}

/** The notification once it is finished, as somebody sees it. */
async function finished(id: number, account = operator) {
  return until(
    async () =>
      (
        await api.graphql(
          `{ notification(id: ${id}) {
            id status sentStatus users readAt
            statistics { recipients deliveries accepted deadAddress pending }
            deliveries { nodes { id userId deviceTokenId deviceType status attempts messageId sentAt errorCode } }
          } }`,
          { token: account.token },
        )
      ).data.notification,
    (notification) => notification && !["SCHEDULED", "SENDING"].includes(notification.status),
  );
}

describe("devices", () => {
  it("are registered, seen and taken away by their user alone", async () => {
    const { data } = await register(ann, "ann-phone-1", "IOS");
    const { id } = data.registerDevice.deviceToken;
    expect(data.registerDevice.deviceToken).toEqual({
      id,
      userId: ann.userId,
      deviceType: "IOS",
      disabledAt: null,
    });
    expect(await devices(ann)).toEqual([{ id }]);
    expect(await devices(bob)).toEqual([]);
    const gone =
      'mutation { unregisterDevice(input: {token: "ann-phone-1"}) { deviceToken { id } } }';
    expect((await api.graphql(gone, { token: bob.token })).errors[0]?.extensions.code).toBe(
      "NOT_FOUND",
    );
    expect(await devices(ann)).toEqual([{ id }]);
    expect(
      (await api.graphql(gone, { token: ann.token })).data.unregisterDevice.deviceToken.id,
    ).toBe(id);
    expect(await devices(ann)).toEqual([]);
  });

  it("registered again stay one, and are in service again", async () => {
    const first = await register(ann, "ann-phone-2");
    await api.database.owner.query(
      "update app_public.device_tokens set disabled_at = now(), disabled_reason = 'dead_address' where token = 'ann-phone-2'",
    );
    const second = await register(ann, "ann-phone-2", "WEB");
    expect(second.data.registerDevice.deviceToken).toEqual({
      id: first.data.registerDevice.deviceToken.id,
      userId: ann.userId,
      deviceType: "WEB",
      disabledAt: null,
    });
  });

  it("move to the user who now holds the phone, whose pushes alone they get", async () => {
    await register(ann, "handed-over");
    await register(bob, "handed-over");
    expect((await devices(bob)).length).toBe(1);
    const id = await send({ users: [ann.userId], message: "For Ann only" });
    await finished(id);
    const texts = worker.emulator.phones
      .messages("handed-over")
      .map(({ message }) => (message.notification as { body: string }).body);
    expect(texts).not.toContain("For Ann only");
  });

  it.each(["", " ", "a b", "x".repeat(1025), "\u6587".repeat(1024), "a\u200bb"])(
    "with the token %j are refused",
    async (token) => {
      const { errors } = await register(ann, token);
      expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "token" });
    },
  );

  it("of nobody are refused", async () => {
    const { errors } = await api.graphql(REGISTER, {
      variables: { input: { token: "t", deviceType: "IOS" } },
    });
    expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });
});

describe("sendNotification", () => {
  it("by an operator goes all the way, and the ledger tells of each phone", async () => {
    const carl = await api.signUp();
    await register(carl, "carl-phone");
    await register(carl, "unregistered-carl", "IOS");
    const id = await send({
      users: [carl.userId],
      title: "Hi",
      data: { order: "7" },
      priority: "NORMAL",
    });
    const notification = await finished(id);
    expect(notification).toMatchObject({
      status: "PARTIAL",
      sentStatus: true,
      users: [carl.userId],
      statistics: { recipients: 1, deliveries: 2, accepted: 1, deadAddress: 1, pending: 0 },
    });
    const [accepted, dead] = notification.deliveries.nodes;
    expect(accepted).toMatchObject({
      userId: carl.userId,
      deviceType: "ANDROID",
      status: "ACCEPTED",
      attempts: 1,
    });
    expect(accepted.messageId).toMatch(/^projects\/.+\/messages\/.+/);
    expect(accepted.sentAt).not.toBeNull();
    expect(dead).toMatchObject({
      deviceType: "IOS",
      status: "DEAD_ADDRESS",
      errorCode: "UNREGISTERED",
    });
    expect(worker.emulator.phones.messages("carl-phone")[0]?.name).toBe(accepted.messageId);
  });

  it.each([
    ["no users", { users: [] }, "users"],
    ["an unknown user", { users: [999999] }, "users"],
    ["a null among the users", { users: [null] }, "users"],
    ["an empty message", { message: " " }, "message"],
    ["no event", { event: null }, "event"],
    ["an event that is no name", { event: "Not An Event" }, "event"],
    ["data that is no string", { data: { count: 1 } }, "data"],
    ["data that is a list", { data: ["x"] }, "data"],
    ["a reserved key", { data: { google_x: "1" } }, "data"],
    ["the reserved key from", { data: { from: "1" } }, "data"],
    ["over 4,096 bytes", { message: "x".repeat(4097) }, "message"],
    ["a time in the past", { sendAt: "2020-01-01T00:00:00Z" }, "sendAt"],
    ["an expiry before its time", { expiresAt: "2020-01-01T00:00:00Z" }, "expiresAt"],
    ["an empty collapse key", { collapseKey: "" }, "collapseKey"],
  ])(
    "with %s is BAD_USER_INPUT that names the field, and queues nothing",
    async (_what, input, field) => {
      // The job of the push before is deleted some time after its outcome is written.
      const before = await until(counts, ({ jobs }) => jobs === "0");
      const { errors } = await api.graphql(SEND, {
        token: operator.token,
        variables: { input: { users: [ann.userId], event: "e", message: "m", ...input } },
      });
      expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field });
      expect(await counts()).toEqual(before);
    },
  );

  async function counts() {
    const { rows } = await api.database.owner.query(
      `select (select count(*) from app_public.notifications) as notifications,
         (select count(*) from graphile_worker.jobs) as jobs`,
    );
    return rows[0];
  }

  it("for later is SCHEDULED until its time, and can be canceled once", async () => {
    const id = await send({
      users: [ann.userId],
      sendAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const cancel = `mutation { cancelNotification(input: {id: ${id}}) { notification { status } } }`;
    const user = await api.graphql(cancel, { token: ann.token });
    expect(user.errors[0]?.extensions.code).toBe("FORBIDDEN");
    const { data } = await api.graphql(`{ notification(id: ${id}) { status } }`, {
      token: operator.token,
    });
    expect(data.notification.status).toBe("SCHEDULED");
    const canceled = await api.graphql(cancel, { token: operator.token });
    expect(canceled.data.cancelNotification.notification.status).toBe("CANCELED");
    const again = await api.graphql(cancel, { token: operator.token });
    expect(again.errors[0]?.extensions.code).toBe("CONFLICT");
  });
});

describe("the inbox", () => {
  it("shows recipients what they received, themselves alone among its users, and their own deliveries", async () => {
    const [dora, emil] = [await api.signUp(), await api.signUp()];
    await register(dora, "dora-phone");
    await register(emil, "emil-phone");
    const id = await send({ users: [dora.userId, emil.userId] });
    await finished(id);
    const seen = await finished(id, dora);
    expect(seen).toMatchObject({
      users: [dora.userId],
      readAt: null,
      statistics: { recipients: 1, deliveries: 1, accepted: 1 },
    });
    expect(seen.deliveries.nodes.map(({ userId }: { userId: number }) => userId)).toEqual([
      dora.userId,
    ]);
    const all = await finished(id);
    expect(all.users).toEqual([dora.userId, emil.userId]);
    expect(all.deliveries.nodes).toHaveLength(2);
    const stranger = await api.graphql(
      `{ notification(id: ${id}) { id } notifications { totalCount } notificationDeliveries { totalCount } }`,
      { token: (await api.signUp()).token },
    );
    expect(stranger.data).toEqual({
      notification: null,
      notifications: { totalCount: 0 },
      notificationDeliveries: { totalCount: 0 },
    });
  });

  it("counts what is unread, and marks as read only one's own", async () => {
    const [fred, gina] = [await api.signUp(), await api.signUp()];
    const first = await send({ users: [fred.userId, gina.userId] });
    const second = await send({ users: [fred.userId] });
    await finished(first);
    await finished(second);
    const unread = async (account: Account) =>
      (await api.graphql("{ me { unreadNotificationCount } }", { token: account.token })).data.me
        .unreadNotificationCount;
    expect(await unread(fred)).toBe(2);
    const mark = `mutation { markNotificationsRead(input: {ids: [${first}, ${second}, 999999]}) {
      notifications { id readAt } } }`;
    const byGina = await api.graphql(mark, { token: gina.token });
    expect(
      byGina.data.markNotificationsRead.notifications.map(({ id }: { id: number }) => id),
    ).toEqual([first]);
    expect(await unread(fred)).toBe(2);
    const byFred = await api.graphql(mark, { token: fred.token });
    const [{ readAt }] = byFred.data.markNotificationsRead.notifications;
    expect(readAt).not.toBeNull();
    expect(await unread(fred)).toBe(0);
    const again = await api.graphql(mark, { token: fred.token });
    expect(again.data.markNotificationsRead.notifications[0].readAt).toBe(readAt);
  });

  it.each([
    ["starts", "25:00", "07:00"],
    ["ends", "22:00", "soon"],
    ["ends", "22:00", "07:60"],
  ])("setQuietHours names %s where it is no time of day", async (field, starts, ends) => {
    const { errors } = await api.graphql(
      "mutation ($starts: Time, $ends: Time) { setQuietHours(input: {starts: $starts, ends: $ends}) { clientMutationId } }",
      { token: ann.token, variables: { starts, ends } },
    );
    expect(errors[0]).toMatchObject({
      message: "A time of day is written like 22:00.",
      extensions: { code: "BAD_USER_INPUT", field },
    });
  });

  it("acknowledgeDelivery makes an accepted delivery acknowledged, by its recipient alone", async () => {
    const hugo = await api.signUp();
    await register(hugo, "hugo-phone");
    const id = await send({ users: [hugo.userId] });
    const { deliveries } = await finished(id);
    const acknowledge = `mutation { acknowledgeDelivery(input: {messageId: "${deliveries.nodes[0].messageId}", opened: true}) {
      notificationDelivery { status acknowledgedAt notification { readAt } } } }`;
    const foreign = await api.graphql(acknowledge, { token: ann.token });
    expect(foreign.errors[0]?.extensions.code).toBe("NOT_FOUND");
    const of = (input: string) =>
      api.graphql(`mutation { acknowledgeDelivery(input: {${input}}) { clientMutationId } }`, {
        token: ann.token,
      });
    expect((await of("")).errors[0]).toMatchObject({
      extensions: { code: "BAD_USER_INPUT", field: "messageId" },
    });
    const own = await api.graphql(acknowledge, { token: hugo.token });
    expect(own.data.acknowledgeDelivery.notificationDelivery).toMatchObject({
      status: "ACKNOWLEDGED",
      acknowledgedAt: expect.any(String),
      notification: { readAt: expect.any(String) },
    });
    expect((await finished(id)).sentStatus).toBe(true);
  });

  it("acknowledgeDelivery of what is still being sent is kept until the outcome is known", async () => {
    const ines = await api.signUp();
    await register(ines, "ines-phone");
    await register(ines, "hang-ines");
    const id = await send({ users: [ines.userId] });
    const { name } = await worker.emulator.phones.nextMessage("ines-phone", 10_000);
    const acknowledge = `mutation { acknowledgeDelivery(input: {messageId: "${name}", opened: true}) {
      notificationDelivery { status } } }`;
    const foreign = await api.graphql(acknowledge, { token: ann.token });
    expect(foreign.errors[0]?.extensions.code).toBe("NOT_FOUND");
    expect((await api.graphql(acknowledge, { token: ines.token })).errors).toEqual([]);
    const notification = await until(
      async () =>
        (
          await api.graphql(
            `{ notification(id: ${id}) { readAt deliveries { nodes { status acknowledgedAt } } } }`,
            { token: ines.token },
          )
        ).data.notification,
      ({ deliveries }) =>
        deliveries.nodes.some(({ status }: { status: string }) => status === "ACKNOWLEDGED"),
      20_000,
    );
    expect(notification.readAt).not.toBeNull();
  });

  it("quiet hours that end at 24:00 end at midnight, and a whole day is none", async () => {
    const quiet = async (starts: string, ends: string) =>
      api.graphql(
        `mutation { setQuietHours(input: {starts: "${starts}", ends: "${ends}"}) { quietHour { starts ends } } }`,
        { token: ann.token },
      );
    const { data } = await quiet("22:00", "24:00");
    expect(data.setQuietHours.quietHour).toEqual({
      starts: "22:00:00.000000",
      ends: "00:00:00.000000",
    });
    expect((await quiet("00:00", "24:00")).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});
