import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { type Running, run } from "../support/processes.ts";
import { copyOfProject } from "../support/project.ts";
import { until } from "../support/until.ts";

let project: Awaited<ReturnType<typeof copyOfProject>>;
let started: Running;
const others: Running[] = [];
/** The ports that the pages speak of: API, stand-in for Google, and an app that does not answer. */
let ports: Record<string, number>;

beforeAll(async () => {
  project = await copyOfProject();
  ports = { 5678: await freePort(), 8090: await freePort(), 3000: await freePort() };
  started = run("npm", ["start"], {
    cwd: project.root,
    env: {
      PORT: String(ports[5678]),
      OPS_PORT: "0",
      WORKER_OPS_PORT: "0",
      FCM_EMULATOR_PORT: "0",
      GOOGLE_CLIENT_ID: "howdah",
      GOOGLE_CLIENT_SECRET: "secret",
      GOOGLE_ISSUER_URL: `http://localhost:${ports[8090]}`,
      ALLOWED_REDIRECTS: `http://localhost:${ports[3000]}/signed-in`,
    },
  });
  await started.prints(/delivered 1 push/, 120_000);
}, 120_000);
afterAll(async () => {
  for (const { child } of others) if (child.exitCode === null) process.kill(-(child.pid as number));
  await started.ends("SIGTERM");
  await project.remove();
});

interface Example {
  script: string;
  printed: string;
}

/** The shell blocks of a page, each with the text block behind it: what it prints. */
async function examplesOf(path: string): Promise<Example[]> {
  const page = (await readFile(path, "utf8")).replace(
    /(localhost|127\.0\.0\.1):(\d+)|start\((\d+), /g,
    (found, _host, port, start) =>
      found.replace(port ?? start, String(ports[port ?? start] ?? port ?? start)),
  );
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

/** Runs them in one shell, and compares what each prints: what fits is shown as the page has it. */
async function runAll(all: Example[]): Promise<void> {
  const END = "---- end of example";
  const script = all.map((example) => `${example.script}echo "${END}"\n`).join("");
  const shell = run("sh", ["-c", script], { cwd: project.root });
  others.push(shell);
  await shell.ends();
  const outputs = shell.output().split(`${END}\n`);
  const printed = all.map((example, index) => {
    const output = outputs[index]?.trim() ?? "nothing: it ended before";
    return pattern(example.printed).test(output) ? example.printed.trim() : output;
  });
  expect(printed).toEqual(all.map((example) => example.printed.trim()));
}

it("the examples of docs/accounts.md run in their order and print what the page says", async () => {
  const all = await examplesOf("docs/accounts.md");
  expect(all.length).toBeGreaterThan(14);
  await runAll(all);
}, 180_000);

it("an example of docs/accounts.md that waits in vain says so, and ends", async () => {
  const [helpers] = (await examplesOf("docs/accounts.md")) as [Example];
  // Once, and without the waiting itself.
  await runAll([
    {
      script: `${helpers.script}sleep() { :; }\nseq() { echo 1; }\ntoken=$(link verify-email nobody)\ncode +49301\n`,
      printed: ["nobody", "+49301"]
        .map((to) => `Nothing has come to ${to} within ten seconds: the answer above may say why.`)
        .join("\n"),
    },
  ]);
}, 30_000);

it("the examples of docs/providers.md sign in with a stand-in for Google, and print what the page says", async () => {
  const [google, , ...all] = (await examplesOf("docs/providers.md")) as [Example, ...Example[]];
  const standIn = run("sh", ["-c", google.script], { cwd: project.root });
  others.push(standIn);
  const answers = async () =>
    fetch(`http://localhost:${ports[8090]}/jwks`).then(
      () => true,
      () => false,
    );
  await until(answers, (is) => is, 60_000);
  await runAll(all.filter(({ script }) => !script.includes("credentials:rotate")));
}, 180_000);
