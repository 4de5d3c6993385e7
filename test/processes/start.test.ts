import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive } from "../../src/database/embedded/server.ts";
import { type Running, run } from "../support/processes.ts";
import { copyOfProject } from "../support/project.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let project: Awaited<ReturnType<typeof copyOfProject>>;
const ANY_PORT = { PORT: "0", OPS_PORT: "0", WORKER_OPS_PORT: "0", FCM_EMULATOR_PORT: "0" };

beforeAll(async () => {
  project = await copyOfProject();
});
afterAll(() => project.remove());

const start = (...args: string[]): Running =>
  run("npm", args, { cwd: project.root, env: ANY_PORT });

async function urls(running: Running): Promise<{ api: string; phones: string }> {
  const api = (await running.prints(/^ {2}API +(http\S+)\/graphql$/m))[1] as string;
  const phones = (await running.prints(/^ {2}Phones +(http\S+)$/m))[1] as string;
  return { api, phones };
}

async function graphql(api: string, query: string, token?: string) {
  const response = await fetch(`${api}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as {
    // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
    data: any;
    errors?: unknown;
  };
}

async function logIn(api: string, identifier: string): Promise<string> {
  const { data } = await graphql(
    api,
    `mutation { logIn(input: {identifier: "${identifier}", password: "howdah-demo"}) { tokens { accessToken } } }`,
  );
  return data.logIn.tokens.accessToken;
}

describe("npm start", () => {
  it("goes the whole way in a fresh copy: demo push delivered, first call, item, device, push, ledger; keeps its data; leaves nothing behind", {
    timeout: 60_000,
  }, async () => {
    const first = start("start");
    await first.prints(/delivered 1 push: "Howdy, Ada: .+" to phone android-phone-of-ada/);
    const { api, phones } = await urls(first);

    // The printed call is the one that a newcomer copies.
    const curl = (await first.prints(
      /First call +curl (\S+) -H '([^']+)' -d '([^']+)'/,
    )) as string[];
    const answer = await fetch(curl[1] as string, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: curl[3] as string,
    });
    const ada = ((await answer.json()) as { data: { logIn: { tokens: { accessToken: string } } } })
      .data.logIn.tokens.accessToken;

    const mine = await graphql(
      api,
      "{ me { id emailVerified unreadNotificationCount } items { nodes { title } } deviceTokens { totalCount } }",
      ada,
    );
    expect(mine.data.items.nodes.map((item: { title: string }) => item.title)).toEqual([
      "Saddle",
      "Parasol",
      "Ladder",
    ]);
    // Verified, so that they log in with SIGN_UP_CONFIRMATION=required too.
    expect(mine.data.me).toMatchObject({ emailVerified: true, unreadNotificationCount: 1 });
    await graphql(
      api,
      'mutation { createItem(input: {item: {title: "Bell"}}) { item { id } } }',
      ada,
    );
    await graphql(
      api,
      'mutation { registerDevice(input: {token: "my-phone", deviceType: WEB}) { deviceToken { id } } }',
      ada,
    );

    const operator = await logIn(api, "operator@example.com");
    const sent = await graphql(
      api,
      `mutation { sendNotification(input: {users: [${mine.data.me.id}], event: "bell.rang", message: "Ding"}) {
        notification { id } } }`,
      operator,
    );
    const { id } = sent.data.sendNotification.notification;
    const began = Date.now();
    const ledger = await until(
      () =>
        graphql(
          api,
          `{ notification(id: ${id}) { status deliveries { nodes { status messageId } } } }`,
          operator,
        ),
      ({ data }) => data.notification.status === "SENT",
      2000,
    );
    expect(Date.now() - began).toBeLessThan(2000);
    const statuses = ledger.data.notification.deliveries.nodes.map(
      (d: { status: string }) => d.status,
    );
    expect(statuses).toEqual(["ACCEPTED", "ACCEPTED"]);
    const phone = (await (await fetch(`${phones}/my-phone`)).json()) as {
      messages: { name: string; message: { notification: { body: string } } }[];
    };
    expect(phone.messages[0]?.message.notification.body).toBe("Ding");

    // Ctrl-C in a terminal goes to the whole group, and npm passes it on once more.
    const server = Number(
      (await readFile(join(project.root, ".data/postgres/postmaster.pid"), "utf8")).split("\n")[0],
    );
    process.kill(-(first.child.pid as number), "SIGINT");
    await first.ends();
    await until(
      async () => isAlive(server),
      (alive) => !alive,
    );
    await expect(fetch(`${api}/graphql`)).rejects.toThrow();

    const second = start("start");
    const again = await urls(second);
    const items = await graphql(
      again.api,
      "{ items { totalCount } }",
      await logIn(again.api, "ada@example.com"),
    );
    expect(items.data.items.totalCount).toBe(4);
    expect(second.output()).not.toContain("delivered 1 push");
    expect(await second.ends("SIGTERM")).toBe(0);
    expect(first.output() + second.output()).not.toMatch(/unhandled|Error:/i);
  });

  it("as npm run dev follows current.sql: README's first table is in the API, a mistake changes nothing", {
    timeout: 60_000,
  }, async () => {
    const dev = start("run", "dev");
    const { api } = await urls(dev);
    await dev.prints(/^Watching/m);
    const path = join(project.root, "migrations/current.sql");
    const readme = await readFile(join(project.root, "README.md"), "utf8");
    const [, example] = /```sql\n([\s\S]+?)```/.exec(readme) as RegExpExecArray;
    // Who has followed README may have committed its table: under another name it is new.
    const firstTable = `${(example as string).replaceAll("notes", "jottings")}
      comment on table app_public.jottings is E'@live\\nWhat one jots down.';`;
    const typeOf = async (name: string) =>
      (await graphql(api, `{ __type(name: "${name}") { name } }`)).data.__type?.name;
    expect(await typeOf("Jotting")).toBeUndefined();
    await writeFile(path, firstTable);
    await until(
      () => typeOf("Jotting"),
      (name) => name === "Jotting",
    );
    const ada = await logIn(api, "ada@example.com");
    const created = await graphql(
      api,
      'mutation { createJotting(input: {jotting: {body: "Saved"}}) { jotting { body } } }',
      ada,
    );
    expect(created.data.createJotting.jotting.body).toBe("Saved");
    const others = await graphql(
      api,
      "{ jottings { nodes { body } } }",
      await logIn(api, "operator@example.com"),
    );
    expect(others.data.jottings.nodes).toEqual([]);

    const socket = openSocket(api, { authorization: `Bearer ${ada}` });
    const changes = socket.subscribe(
      "subscription { jottingChanged(initialEvent: true) { operation jotting { body } } }",
    );
    await changes.next();
    await graphql(
      api,
      'mutation { createJotting(input: {jotting: {body: "Live"}}) { jotting { body } } }',
      ada,
    );
    expect(await changes.next()).toEqual({
      data: { jottingChanged: { operation: "INSERT", jotting: { body: "Live" } } },
    });
    socket.close();

    await writeFile(path, `${firstTable}\nselect 1; selekt 2;\n`);
    await dev.prints(/current\.sql:\d+:11\n[\s\S]+selekt 2;\n +\| {11}\^\n\n.+syntax error/);
    expect(
      (await graphql(api, "{ jottings { nodes { body } } }", ada)).data.jottings.nodes,
    ).toHaveLength(2);
    await writeFile(path, "drop table if exists app_public.jottings;");
    await until(
      () => typeOf("Jotting"),
      (name) => name === undefined,
    );
    expect(await dev.ends("SIGTERM")).toBe(0);
  });
});
