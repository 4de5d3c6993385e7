import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { howdah, howdahJson, howdahProcess } from "../support/howdah.ts";

let database: TestDatabase;
let url: string;
beforeAll(async () => {
  database = await createTestDatabase();
  url = database.ownerUrl;
});
afterAll(() => database.drop());

const one = async (text: string, values: unknown[] = []) =>
  (await database.owner.query(text, values)).rows[0];

describe("the operator's tool", () => {
  it("lists its commands, and each says how it is called", async () => {
    const overview = await howdahProcess(url, "--help");
    expect(overview.code).toBe(0);
    const names = [...overview.output.matchAll(/^ {2}([a-z:]+) {2,}\S/gm)].map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining(["deliveries", "jobs", "user:disable"]));
    expect(names).toHaveLength(22);
    expect(await howdah(url)).toEqual(overview);
    for (const name of names) {
      const help = await howdah(url, name as string, "--help");
      expect(help.code).toBe(0);
      expect(help.output).toMatch(new RegExp(`^npm run howdah -- ${name}`));
      // The others are chores on the project's files.
      if (/^(lint|access|new:.*)$/.test(name as string)) continue;
      expect(help.output).toContain("--json");
      expect(help.output).toContain("Exit codes: 0 done");
    }
  }, 60_000);

  it.each([
    [["nonsense"], /^There is no command nonsense\./],
    [["constructor"], /^There is no command constructor\./],
    [["deliveries"], /^Which notification\? Give its id\.$/],
    [["deliveries", "seven"], /^Which notification\? Give its id\.$/],
    [["jobs", "--what"], /^Unknown option '--what'\. It takes --failed, --json, --help\.$/],
    [["pauses", "7"], /^"7" is one argument too many\.$/],
    [["pause", "--platform", "symbian", "--minutes", "5"], /^Which platform\?/],
    [["pause", "--platform", "ios", "--minutes", "0"], /^For how long\?/],
    [["breaker:decide", "1", "perhaps"], /^Which decision\? retry or tombstone\.$/],
    [["retry"], /^Which job\?/],
    [["user:show"], /^Which user\?/],
    [["notify", "--event", "e", "--message", "m"], /^Whom\?/],
    [["notify", "--user", "1", "--message", "m"], /^Which event\?/],
    [["notify", "--user", "1", "--event", "e"], /^Which message\?/],
    [
      ["notify", "--user", "1", "--event", "e", "--message", "m", "--data", "x"],
      /^Which data\? --data KEY=TEXT\.$/,
    ],
    [
      ["notify", "--user", "1", "--event", "e", "--message", "m", "--send-at", "tomorrow"],
      /^When\? --send-at is written like 2027-01-01T09:00:00Z\.$/,
    ],
    [
      ["notify", "--user", "1", "--event", "e", "--message", "m", "--priority", "loud"],
      /^Which priority\? --priority high or normal\.$/,
    ],
    [["cancel"], /^Which notification\?/],
  ])("%j is no valid call: exit 2, and one line says why", async (args, says) => {
    expect(await howdah(url, ...args)).toEqual({ code: 2, output: expect.stringMatching(says) });
  });

  it("is a process that ends with that exit code, with what it says on stdout and stderr", async () => {
    const wrong = ["pauses", "7"];
    expect(await howdahProcess(url, ...wrong)).toEqual(await howdah(url, ...wrong));
    expect(await howdahProcess(url, "jobs")).toEqual(await howdah(url, "jobs"));
  });

  it("says in a line that the database is away: exit 1", async () => {
    const told = await howdahProcess("postgres://u:secret@127.0.0.1:1/x", "jobs");
    expect(told.code).toBe(1);
    expect(told.output).toMatch(/^the database at 127.0.0.1:1 is not reachable \(ECONNREFUSED\)/);
    expect(told.output).not.toContain("secret");
  });
});

describe("jobs and retry", () => {
  async function add(attempts: number): Promise<number> {
    const { id } = await one(
      "select (graphile_worker.add_job('no_such_task', max_attempts := 3)).id::int",
    );
    await database.owner.query(
      "update graphile_worker._private_jobs set attempts = $2, last_error = $3 where id = $1",
      [id, attempts, "first line\nsecret stack"],
    );
    return id;
  }

  it("show the queue by task, show what was given up, and run it again", async () => {
    expect(await howdah(url, "jobs")).toEqual({ code: 0, output: "The queue is empty." });
    const [failed, waiting, other] = [await add(3), await add(1), await add(3)];
    expect(await howdahJson(url, "jobs")).toMatchObject([
      { task: "no_such_task", jobs: 3, running: 0, retrying: 1, given_up: 2, is_known: false },
    ]);
    expect((await howdah(url, "jobs")).output).toContain("there is no tasks/no_such_task.ts");
    expect(await howdahJson(url, "jobs", "--failed")).toMatchObject([
      { id: failed, attempts: 3 },
      { id: other, attempts: 3 },
    ]);
    const table = await howdah(url, "jobs", "--failed");
    expect(table.output).toContain("first line");
    expect(table.output).not.toContain("secret stack");

    expect(await howdah(url, "retry", String(failed))).toEqual({
      code: 0,
      output: `Job ${failed} runs again.`,
    });
    expect(await one("select attempts from graphile_worker.jobs where id = $1", [failed])).toEqual({
      attempts: 0,
    });
    expect(await howdah(url, "retry", "--failed")).toEqual({
      code: 0,
      output: "1 jobs run again.",
    });
    expect(await howdah(url, "retry", "--failed")).toEqual({
      code: 0,
      output: "No job was given up.",
    });
    expect(await one("select attempts from graphile_worker.jobs where id = $1", [waiting])).toEqual(
      {
        attempts: 1,
      },
    );
    expect(await howdah(url, "retry", "999999")).toEqual({
      code: 1,
      output: "There is no job 999999: it is done, or never was.",
    });
    await database.owner.query(
      "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w' where id = $1",
      [failed],
    );
    expect(await howdah(url, "retry", String(failed))).toEqual({
      code: 1,
      output: `Job ${failed} is running.`,
    });
  });
});

describe("notify", () => {
  it("counts in a dry run, sends without, and refuses as the API does", async () => {
    const user = String(await createUser(database));
    const call = ["notify", "--user", user, "--event", "order.shipped", "--message", "Hello"];
    expect(await howdah(url, ...call, "--dry-run")).toEqual({
      code: 0,
      output: "It would reach 1 user on 0 devices. Nothing was sent.",
    });
    expect(await one("select count(*)::int as n from app_public.notifications")).toEqual({ n: 0 });
    const { id } = await howdahJson<{ id: number }>(url, ...call, "--title", "T");
    expect(
      await one("select users, title from app_public.notifications where id = $1", [id]),
    ).toEqual({
      users: [Number(user)],
      title: "T",
    });
    expect(
      await howdah(url, "notify", "--user", "99999", "--event", "e", "--message", "m"),
    ).toEqual({ code: 1, output: "There is no user 99999." });
  });

  it("takes all that the API takes, and what it sends can be canceled", async () => {
    const user = String(await createUser(database));
    const call = ["notify", "--user", user, "--event", "order.shipped", "--message", "Hello"];
    const later = new Date(Date.now() + 86_400_000).toISOString();
    const { id } = await howdahJson<{ id: number }>(
      url,
      ...[...call, "--data", "order=7", "--data", "note=a=b", "--send-at", later],
      ...["--priority", "normal", "--delivery", "at_most_once", "--collapse-key", "k"],
      ...["--badge", "--unread-seconds", "60"],
    );
    const asked = "select * from app_public.notifications where id = $1";
    expect(await one(asked, [id])).toMatchObject({
      data: { order: "7", note: "a=b" },
      send_at: new Date(later),
      priority: "normal",
      delivery: "at_most_once",
      collapse_key: "k",
      has_badge: true,
      is_silent: false,
      unread_seconds: 60,
    });
    expect(await howdah(url, "cancel", String(id))).toEqual({
      code: 0,
      output: `Notification ${id} is canceled.`,
    });
    expect(await one(asked, [id])).toMatchObject({ status: "canceled" });
    expect((await howdah(url, "cancel", String(id))).code).toBe(1);
    const silent = ["notify", "--user", user, "--event", "e", "--silent"];
    expect((await howdah(url, ...silent, "--data", "sync=1")).code).toBe(0);
  });

  it("is told in a sentence what is wrong, and which audience fails and how", async () => {
    const user = String(await createUser(database));
    await database.owner.query(
      "create view app_audiences.broken as select id / (id - id) as user_id from app_public.users",
    );
    const told = async (...args: string[]) => (await howdah(url, "notify", ...args)).output;
    expect(await told("--user", user, "--event", "A b", "--message", "m")).toBe(
      "An event is written like order.shipped: lower-case letters, digits and . _ : -, at most 100 characters.",
    );
    const broken = ["--audience", "broken", "--event", "e", "--message", "m", "--dry-run"];
    expect(await told(...broken)).toBe(
      'The audience "broken" cannot be looked up: its SQL fails. (division by zero)\nTry it by hand: select from app_audiences.broken.',
    );
    await database.owner.query("drop view app_audiences.broken");
  });
});

describe("users and sessions", () => {
  it("are found by phone number; who was no operator is not said to have been one", async () => {
    const user = await createUser(database);
    await database.owner.query(
      "update app_public.users set phone = '+4930777201', phone_verified = true, email_verified = false where id = $1",
      [user],
    );
    expect(await howdahJson(url, "user:show", "+49 30 777201")).toMatchObject({
      user: { id: user },
    });
    expect((await howdah(url, "user:show", "+4930777999")).output).toBe(
      "There is no user +4930777999.",
    );
    expect(await howdah(url, "operator:revoke", "+4930777201")).toEqual({
      code: 0,
      output: `User ${user} was no operator.`,
    });
    expect((await howdah(url, "operator:grant", "+4930777201")).output).toBe(
      `User ${user} is an operator.`,
    );
    await database.owner.query("update app_public.users set phone_verified = false where id = $1", [
      user,
    ]);
    expect((await howdah(url, "operator:grant", String(user))).output).toContain(
      "No address of this user is verified",
    );
    expect((await howdah(url, "operator:revoke", String(user))).output).toBe(
      `User ${user} is not an operator any more.`,
    );
  });

  it("say nothing to the terminal by what they have written", async () => {
    const user = await createUser(database);
    await database.owner.query("select app_private.disable_user($1, $2)", [
      user,
      "\u001b[2Jgone\u0007\u202e\nis_operator      true",
    ]);
    const { output } = await howdah(url, "user:show", String(user));
    expect(output).toContain(
      "disabled_reason  \\u001b[2Jgone\\u0007\\u202e\\nis_operator      true",
    );
    expect(output).not.toContain("\u001b");
  });

  it("are shown, by address or id, and a session is ended", async () => {
    const user = await createUser(database, "shown@example.com");
    const session = await one(
      "insert into app_public.sessions (user_id, device_info) values ($1, 'Pixel') returning id",
      [user],
    );
    const shown = await howdah(url, "user:show", "SHOWN@example.com");
    expect(shown.code).toBe(0);
    expect(shown.output).toContain("shown@example.com");
    expect(shown.output).toContain("Pixel");
    expect(await howdahJson(url, "user:show", String(user))).toMatchObject({
      user: { id: user, is_operator: false, disabled_at: null },
      sessions: [{ id: session.id }],
      devices: [],
    });
    expect(await howdah(url, "session:revoke", String(session.id))).toEqual({
      code: 0,
      output: `Session ${session.id} of user ${user} has ended.`,
    });
    expect(
      await one("select revoked_reason from app_public.sessions where id = $1", [session.id]),
    ).toEqual({ revoked_reason: "operator_revoked" });
    expect((await howdah(url, "session:revoke", String(session.id))).output).toBe(
      `Session ${session.id} had ended already.`,
    );
    expect(await howdah(url, "session:revoke", "99999")).toEqual({
      code: 1,
      output: "There is no session 99999.",
    });
    expect(await howdah(url, "user:show", "nobody@example.com")).toEqual({
      code: 1,
      output: "There is no user nobody@example.com.",
    });
  });
});

describe("a user", () => {
  it("takes users by e-mail address or phone number wherever it takes them", async () => {
    const user = await createUser(database, "named@example.com");
    const event = ["--event", "e", "--message", "m"];
    const byName = ["--user", "Named@example.com"];
    expect(await howdahJson(url, "notify", ...byName, ...event, "--dry-run")).toMatchObject({
      recipients: 1,
    });
    const { id } = await howdahJson<{ id: number }>(url, "notify", ...byName, ...event);
    expect(await howdahJson(url, "deliveries", String(id), ...byName)).toMatchObject({ user });
    expect(await howdah(url, "notify", "--user", "nobody@example.com", ...event)).toEqual({
      code: 1,
      output: "There is no user nobody@example.com.",
    });
  });
});
