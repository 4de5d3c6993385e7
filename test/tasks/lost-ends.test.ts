import { beforeAll, describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { mailsTo } from "../support/mailbox.ts";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

// What is written of a job may be lost with a connection; graphile-worker's pool ends for good then.
const used = usePushes();

beforeAll(async () => {
  // Refuses what is asked of a queue's row until it has counted to 100: sequences do not roll back.
  await used.database.owner.query(`
    create sequence app_private.test_refusals minvalue 0;
    create function app_private.test_refuse() returns trigger language plpgsql as $$
    begin
      if nextval('app_private.test_refusals') < 100 then
        raise exception 'Refused.';
      end if;
      return case tg_op when 'DELETE' then old else new end;
    end; $$`);
});

const refuse = (operation: string, times: number) =>
  used.database.owner.query(`
    drop trigger if exists test_refuse on graphile_worker._private_jobs;
    select setval('app_private.test_refusals', ${100 - times}, false);
    create trigger test_refuse before ${operation} on graphile_worker._private_jobs
    for each row execute function app_private.test_refuse()`);

/** Whether the count has come so far. */
async function counted(to: number): Promise<boolean> {
  const { rows } = await used.database.owner.query(
    "select last_value >= $1 and is_called as yes from app_private.test_refusals",
    [to],
  );
  return rows[0].yes;
}
const firstRefused = () => counted(0);
const takenAgain = () => counted(100);

const yes = (answer: boolean) => answer;

const jobs = async () =>
  (await used.database.owner.query("select id, locked_by from graphile_worker.jobs")).rows;

const none = (rows: unknown[]) => rows.length === 0;

async function addNotice(to: string): Promise<void> {
  const userId = await createUser(used.database);
  await used.database.owner.query(
    `select graphile_worker.add_job('users__send_notice',
       json_build_object('userId', $1::int, 'notice', 'password_changed', 'to', $2::text))`,
    [userId, to],
  );
}

describe("a job that is locked by a worker that does not run it", () => {
  it("comes free: the answer that gave it to the worker was lost", async () => {
    const { id } = await used.pushes.userWithDevices("phone");
    const client = await used.database.owner.connect();
    await client.query("begin");
    const { rows } = await client.query("select id from app_private.notify($1, 'e', 'm')", [[id]]);
    await client.query(
      `update graphile_worker._private_jobs
       set locked_by = (select job_worker_ids[1] from app_private.workers), locked_at = now() - interval '30 s'
       where key = 'fan_out_notification:' || $1`,
      [rows[0].id],
    );
    await client.query("commit");
    client.release();
    expect((await used.pushes.settled(rows[0].id, 60_000)).status).toBe("sent");
  });
});

describe("the end of a job that cannot be written down", () => {
  it("is written later: what was done is not done again, and the worker goes on", async () => {
    await refuse("delete", 1);
    await addNotice("once@example.com");
    await until(takenAgain, yes, 20_000);
    await until(jobs, none);
    await addNotice("later@example.com");
    await until(
      () => mailsTo(used.worker.dataDirectory, "later@example.com"),
      (mails) => mails.length === 1,
    );
    expect(await mailsTo(used.worker.dataDirectory, "once@example.com")).toHaveLength(1);
  });

  it("does not keep a job that has failed locked: it is tried again", async () => {
    const { owner } = used.database;
    const { id } = await used.pushes.userWithDevices("phone");
    await owner.query(
      "create function app_audiences.flaky() returns setof int language sql as 'select 1 / 0'",
    );
    await refuse("update of last_error", 1);
    const { rows } = await owner.query(
      "select id from app_private.notify(null, 'e', 'm', audience => 'flaky')",
    );
    await until(firstRefused, yes);
    await owner.query(
      `create or replace function app_audiences.flaky() returns setof int language sql as 'select ${id}'`,
    );
    expect((await used.pushes.settled(rows[0].id, 60_000)).status).toBe("sent");
  });
});
