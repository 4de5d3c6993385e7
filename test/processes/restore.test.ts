import { execFileSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { giveTo, postgresAccount } from "../../src/database/embedded/account.ts";
import type { TestDatabase } from "../support/database.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { runEntry } from "../support/processes.ts";
import { baseBackup, createOwnServer, type OwnServer, startOn } from "../support/standby.ts";
import { until } from "../support/until.ts";

let folder: string;
let archive: string;
let database: TestDatabase;
let base: string | undefined;
let restored: OwnServer | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-backup-"));
  await chmod(folder, 0o755);
  // Where PostgreSQL's account can reach them, whatever the checkout's rights are.
  await cp("deploy/backup", join(folder, "scripts"), { recursive: true });
  archive = join(folder, "wal");
  await mkdir(archive);
  giveTo(archive, postgresAccount());
  database = await createOwnServer({
    archive_mode: "on",
    archive_command: `sh ${folder}/scripts/archive-wal.sh "%p" "%f" ${archive}`,
  });
}, 60_000);
afterAll(async () => {
  await restored?.remove();
  if (base) await rm(dirname(base), { recursive: true, force: true });
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

const addUser = (firstName: string) =>
  database.owner.query("insert into app_public.users (first_name) values ($1)", [firstName]);

/** Until the archive has all that has been written. */
async function archived(): Promise<void> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select pg_walfile_name(pg_switch_wal()) as name");
    await until(
      () => readdir(archive),
      (names) => names.includes(rows[0].name),
      30_000,
    );
  } finally {
    await client.end();
  }
}

it("a base backup and the archive bring the database back as it was at a moment, and it works", async () => {
  await addUser("Of the base backup");
  base = await baseBackup(database.superuserUrl);
  await addUser("Of the archive alone");
  const { rows } = await database.owner.query("select clock_timestamp()::text as moment");
  await addUser("After the moment");
  await database.owner.query("delete from app_public.users where first_name like 'Of %'");
  await archived();

  const account = postgresAccount();
  // In a folder of the account's own, as a data directory has to be.
  const home = await mkdtemp(join(tmpdir(), "howdah-restored-"));
  giveTo(home, account);
  await chmod(home, 0o755);
  const directory = join(home, "postgres");
  const restore = () =>
    execFileSync(
      "sh",
      [join(folder, "scripts/restore-to.sh"), base as string, archive, directory, rows[0].moment],
      { ...account, stdio: "pipe", cwd: "/" },
    );
  restore();
  expect(restore).toThrow("is there already");
  restored = await startOn(directory, database.superuserUrl, {});
  const client = new pg.Client({ connectionString: restored.superuserUrl });
  await client.connect();
  await until(
    async () => (await client.query("select pg_is_in_recovery() as is")).rows[0].is,
    (is) => !is,
    30_000,
  );
  const { rows: users } = await client.query("select first_name from app_public.users order by id");
  expect(users.map(({ first_name }) => first_name)).toEqual([
    "Of the base backup",
    "Of the archive alone",
  ]);
  await client.end();
  const ownerUrl = withUser(restored.superuserUrl, "howdah_owner", TEST_PASSWORD);
  const migrate = runEntry("src/migrate.ts", {
    DATABASE_URL: ownerUrl,
    AUTHENTICATOR_DATABASE_URL: withUser(ownerUrl, "howdah_authenticator", TEST_PASSWORD),
  });
  expect(await migrate.ends()).toBe(0);
}, 90_000);

it("the archive never takes another segment under a name that it has, and takes the same one twice", async () => {
  const script = join(folder, "scripts/archive-wal.sh");
  const run = (text: string) =>
    execFileSync("sh", [
      "-c",
      `printf %s "$1" > "$2/segment" && sh "$3" "$2/segment" 0001 "$4"`,
      "sh",
      text,
      folder,
      script,
      archive,
    ]);
  run("one");
  run("one");
  expect(() => run("another")).toThrow();
});
