import { access } from "node:fs/promises";
import { join } from "node:path";
import { capitalised, checkName, NewError, wordsOf } from "./names.ts";
import type { Plan } from "./plan.ts";

/** `new:task send_report` */
export async function planTask(root: string, [given, ...more]: string[]): Promise<Plan> {
  // Tasks of ours are named <table>__<verb> or by a plain verb phrase.
  const name = (given ?? "").includes("__")
    ? (given ?? "")
        .split("__")
        .map((part) => checkName(part, "task"))
        .join("__")
    : checkName(given, "task");
  if (more.length > 0) throw new NewError("A task has a name, and nothing else.");
  const file = `tasks/${name}.ts`;
  if (
    await access(join(root, file)).then(
      () => true,
      () => false,
    )
  ) {
    throw new NewError(`${file} exists already.`);
  }
  return {
    files: { [file]: task(name), [`test/tasks/${name}.test.ts`]: taskTest(name) },
    next: [
      `SQL calls it: select graphile_worker.add_job('${name}', json_build_object('userId', …))`,
      `npm test -- test/tasks/${name}.test.ts`,
    ],
  };
}

function task(name: string): string {
  const subject = capitalised(wordsOf(name).replace(/\s+/g, " "));
  return `import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** What it does, in a sentence: it writes to a user. It may run twice, and has one effect. */
export default defineTask(z.object({ userId: z.int() }), async ({ userId }, { pool, sendMail }) => {
  const { rows } = await pool.query<{ email: string; first_name: string }>(
    \`select email, first_name from app_public.users
     where id = $1 and deleted_at is null and email is not null\`,
    [userId],
  );
  const [user] = rows;
  // Gone since the job was queued: there is nothing left to do.
  if (!user) return;
  const text = \`Hello \${user.first_name},\\n\`;
  await sendMail({ to: user.email, subject: ${JSON.stringify(subject)}, text, html: "" });
});
`;
}

function taskTest(name: string): string {
  return `import { describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { useWorker } from "../support/jobs.ts";
import { mailsTo } from "../support/mailbox.ts";

const used = useWorker();
const TASK = ${JSON.stringify(name)};

describe(TASK, () => {
  it("writes to the user", async () => {
    const userId = await createUser(used.database, "reader@example.com");
    expect(await used.run(TASK, { userId })).toBeNull();
    expect(await mailsTo(used.worker.dataDirectory, "reader@example.com")).toHaveLength(1);
  });

  it("is done where the user is gone", async () => {
    expect(await used.run(TASK, { userId: 2_000_000_000 })).toBeNull();
  });

  it("fails where its payload is wrong, and says what is", async () => {
    expect(await used.run(TASK, { userId: "x" })).toContain("userId");
  });
});
`;
}
