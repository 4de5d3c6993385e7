import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Running, run } from "../support/processes.ts";
import { copyOfProject } from "../support/project.ts";

let project: Awaited<ReturnType<typeof copyOfProject>>;
let started: Running;
let shell: Running | undefined;
let url: string;

beforeAll(async () => {
  project = await copyOfProject();
  started = run("npm", ["start"], {
    cwd: project.root,
    env: { PORT: "0", OPS_PORT: "0", WORKER_OPS_PORT: "0", FCM_EMULATOR_PORT: "0" },
  });
  url = (await started.prints(/^ {2}API +(http\S+)\/graphql$/m))[1] as string;
  await started.prints(/delivered 1 push/);
}, 60_000);
afterAll(async () => {
  // An example that waits for a mail in vain waits for ever.
  if (shell?.child.exitCode === null) process.kill(-(shell.child.pid as number));
  await started.ends("SIGTERM");
  await project.remove();
});

/** The shell blocks of a page, each with the text block behind it: what it prints. */
function examples(page: string): { script: string; printed: string }[] {
  const blocks = page.matchAll(/```sh\n([\s\S]+?)```(?:\n\n```text\n([\s\S]+?)```)?/g);
  return [...blocks].map(([, script, printed]) => ({
    script: script as string,
    printed: printed ?? "",
  }));
}

/** Literally, but for … which stands for anything within a line. */
function pattern(printed: string): RegExp {
  const lines = printed.trim().split("…").map(RegExp.escape);
  return new RegExp(`^${lines.join(".*")}$`);
}

it("the examples of docs/accounts.md run in their order and print what the page says", async () => {
  const page = (await readFile("docs/accounts.md", "utf8")).replaceAll(
    "http://127.0.0.1:5678",
    url,
  );
  const all = examples(page.split("## Operators")[0] as string);
  expect(all.length).toBeGreaterThan(12);
  const END = "---- end of example";
  const script = all.map((example) => `${example.script}echo "${END}"\n`).join("");
  shell = run("sh", ["-c", script], { cwd: project.root });
  await shell.ends();
  const outputs = shell.output().split(`${END}\n`);
  const printed = all.map((example, index) => {
    const output = outputs[index]?.trim() ?? "nothing: it ended before";
    // What fits is shown as the page has it, what does not as it came.
    return pattern(example.printed).test(output) ? example.printed.trim() : output;
  });
  expect(printed).toEqual(all.map((example) => example.printed.trim()));
}, 60_000);
