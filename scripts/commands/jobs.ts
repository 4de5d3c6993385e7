import { taskNames } from "../../src/tasks/load-tasks.ts";
import { type Command, CommandError, idOf, UsageError } from "../command.ts";

/** Jobs a statement. */
const BATCH = 500;

export const jobs: Command = {
  usage: "[--failed]",
  args: 0,
  summary:
    "shows what waits in the queue, by task, with its last error; or each job that was given up",
  details:
    "A job that fails is tried again by itself, later each time; one that has had all its attempts is given up,\n" +
    "and stays until `retry` or a migration of yours deals with it.",
  options: { failed: { help: "those that were given up, with their last error; 200 at most" } },
  async run({ database, options }) {
    if (options.failed) {
      const { rows } = await database.query(
        `select id::int as id, task_identifier as task, attempts, last_error as error,
           updated_at as failed_at
         from graphile_worker.jobs
         where attempts >= max_attempts and locked_at is null order by id limit 200`,
      );
      return {
        json: rows,
        text: [rows.length === 0 ? "No job was given up." : rows.map(shortened)],
      };
    }
    const known = new Set(await taskNames());
    const { rows } = await database.query<{ task: string; error: string | null }>(
      `select task_identifier as task, count(*)::int as jobs, min(run_at) as first_run_at,
         (count(*) filter (where locked_at is not null))::int as running,
         (count(*) filter (where attempts > 0 and attempts < max_attempts))::int as retrying,
         (count(*) filter (where attempts >= max_attempts and locked_at is null))::int as given_up,
         (array_agg(last_error order by updated_at desc) filter (where last_error is not null))[1] as error
       from graphile_worker.jobs group by 1 order by 1`,
    );
    const unknown = rows.filter(({ task }) => !known.has(task));
    return {
      json: rows.map((row) => ({ ...row, is_known: known.has(row.task) })),
      text: [
        rows.length === 0 ? "The queue is empty." : rows.map(shortened),
        ...unknown.map(
          ({ task }) =>
            `No worker has the task ${task}: there is no tasks/${task}.ts, and its jobs wait.`,
        ),
      ],
    };
  },
};

/** A line of a table: the first line of the error. */
function shortened(job: { error: string | null }): object {
  return { ...job, error: job.error?.split("\n")[0]?.slice(0, 100) };
}

export const retry: Command = {
  usage: "JOB_ID | --failed",
  args: 1,
  summary: "runs a job again now, with all its attempts; or every job that was given up",
  examples: ["retry 4711", "retry --failed"],
  options: { failed: { help: "every job that was given up" } },
  async run({ database, args: [id], options, progress }) {
    if ((id === undefined) === !options.failed) {
      throw new UsageError("Which job? Give its id, or --failed for all that were given up.");
    }
    const again = async (ids: number[]) => {
      const { rowCount } = await database.query(
        "select from graphile_worker.reschedule_jobs($1::bigint[], run_at := now(), attempts := 0)",
        [ids],
      );
      return rowCount ?? 0;
    };
    if (id !== undefined) {
      const job = idOf(id, "job");
      if ((await again([job])) === 0) {
        const { rowCount } = await database.query(
          "select from graphile_worker.jobs where id = $1",
          [job],
        );
        throw new CommandError(
          rowCount ? `Job ${id} is running.` : `There is no job ${id}: it is done, or never was.`,
        );
      }
      return { json: { retried: 1 }, text: [`Job ${id} runs again.`] };
    }
    let retried = 0;
    for (let last = 0; ; ) {
      const { rows } = await database.query<{ id: number }>(
        `select id::int as id from graphile_worker.jobs
         where attempts >= max_attempts and locked_at is null and id > $1 order by id limit ${BATCH}`,
        [last],
      );
      if (rows.length === 0) break;
      retried += await again(rows.map((row) => row.id));
      last = rows.at(-1)?.id ?? last;
      progress(`${retried} jobs`);
    }
    return {
      json: { retried },
      text: [retried === 0 ? "No job was given up." : `${retried} jobs run again.`],
    };
  },
};
