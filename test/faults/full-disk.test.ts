import { execFileSync } from "node:child_process";
import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { giveTo, postgresAccount } from "../../src/database/embedded/account.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { asSuperuser, createTestDatabase, type TestDatabase } from "../support/database.ts";
import { createPushes } from "../support/pushes.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

/** Of the file system that the database is on, bytes. */
const SIZE = 96 * 1024 * 1024;
const TABLESPACE = `small_${process.pid}`;

let folder: string | undefined;
let database: TestDatabase;
let api: TestApi;
let worker: TestWorker;

/** The file that takes what is left of it. */
const filler = () => join(folder as string, "filler");

/** A file system of its own in memory, which only root may have. */
function mount(path: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", path], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

const path = await mkdtemp(join(tmpdir(), "howdah-small-"));
if (mount(path)) folder = path;
else await rm(path, { recursive: true });

describe.skipIf(folder === undefined)("a full disk", () => {
  beforeAll(async () => {
    const place = join(folder as string, "tablespace");
    execFileSync("mkdir", [place]);
    giveTo(folder as string, postgresAccount());
    giveTo(place, postgresAccount());
    await asSuperuser(`create tablespace ${TABLESPACE} location '${place}'`);
    await asSuperuser(`grant create on tablespace ${TABLESPACE} to howdah_owner`);
    database = await createTestDatabase({ tablespace: TABLESPACE });
    api = await startTestApi({ database });
    worker = await startTestWorker(database);
  });
  afterAll(async () => {
    // Whatever has failed: all that follows needs room.
    await rm(filler(), { force: true });
    await worker.stop();
    await api.stop();
    await database.drop();
    await asSuperuser(`drop tablespace ${TABLESPACE}`);
    execFileSync("umount", [folder as string]);
    await rm(folder as string, { recursive: true });
  });

  it("mutations err, none is half done, and all works again without a restart", async () => {
    const { owner } = database;
    const count = async (table: string) =>
      (await owner.query(`select count(*)::int from app_public.${table}`)).rows[0].count as number;
    const pushes = createPushes(database);
    const recipient = await pushes.userWithDevices("good");
    const { token } = await api.signUpOperator();
    const [usersBefore, sessionsBefore] = [await count("users"), await count("sessions")];

    const { bavail, bsize } = await statfs(folder as string);
    await writeFile(filler(), Buffer.alloc(bavail * bsize));
    // What a page has room for still finds it: until there is none.
    const acknowledged = { items: 0, users: 0, notifications: 0 };
    const refused = { items: 0, users: 0, notifications: 0 };
    const tally = (what: keyof typeof refused, errors: { extensions: { code: string } }[]) => {
      for (const error of errors)
        expect(error).toMatchObject({ extensions: { code: "UNAVAILABLE" } });
      (errors.length === 0 ? acknowledged : refused)[what] += 1;
    };
    const description = "x".repeat(4000);
    for (let n = 0; n < 3000 && Object.values(refused).some((times) => times < 3); n += 1) {
      const item = await api.graphql(
        "mutation ($item: ItemInput!) { createItem(input: {item: $item}) { item { id } } }",
        {
          token,
          variables: {
            item: { title: `item ${n}`, description: `${Math.random()}${description}` },
          },
        },
      );
      tally("items", item.errors);
      const person = await api.graphql(
        "mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { userId } } }",
        {
          variables: {
            input: {
              email: `full-${n}@example.com`,
              password: "correct horse battery",
              firstName: "x".repeat(80),
            },
          },
        },
      );
      tally("users", person.errors);
      const sent = await api.graphql(
        "mutation ($input: SendNotificationInput!) { sendNotification(input: $input) { notification { id } } }",
        {
          token,
          variables: {
            input: { users: [recipient.id], event: "e", message: description.slice(0, 900) },
          },
        },
      );
      tally("notifications", sent.errors);
    }
    console.info("acknowledged", acknowledged, "refused", refused);
    for (const times of Object.values(refused)) expect(times).toBeGreaterThan(0);
    expect((await fetch(`${api.opsUrl}/live`)).status).toBe(200);
    // A new connection may need room as well: PostgreSQL keeps a file of its catalogue for the next ones.
    const { data, errors } = await api.graphql("{ me { id } }", { token });
    if (errors.length > 0) expect(errors).toMatchObject([{ extensions: { code: "UNAVAILABLE" } }]);
    else expect(data.me.id).toBeGreaterThan(0);

    await rm(filler());
    expect(await count("items")).toBe(acknowledged.items);
    expect((await count("users")) - usersBefore).toBe(acknowledged.users);
    expect((await count("sessions")) - sessionsBefore).toBe(acknowledged.users);
    const { rows } = await owner.query(
      `select count(*)::int from app_public.users u
       where not exists (select from app_private.user_secrets s where s.user_id = u.id) and u.id > $1`,
      [recipient.id],
    );
    expect(rows[0].count).toBe(0);
    expect(await count("notifications")).toBe(acknowledged.notifications);
    const ids = await owner.query("select id from app_public.notifications");
    for (const { id } of ids.rows) expect((await pushes.settled(id)).status).toBe("sent");
    const again = await api.graphql(
      'mutation { createItem(input: {item: {title: "again"}}) { item { id } } }',
      { token },
    );
    expect(again.errors).toEqual([]);
    await api.signUp();
  });
});
