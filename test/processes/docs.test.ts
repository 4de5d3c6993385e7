import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Running, run } from "../support/processes.ts";
import { copyOfProject } from "../support/project.ts";

// What the docs tell people to type, as it stands.
let project: Awaited<ReturnType<typeof copyOfProject>>;
let howdah: Running;
let api: string;

beforeAll(async () => {
  project = await copyOfProject();
  howdah = run("npm", ["start"], {
    cwd: project.root,
    env: { PORT: "0", OPS_PORT: "0", WORKER_OPS_PORT: "0", FCM_EMULATOR_PORT: "0" },
  });
  api = (await howdah.prints(/^ {2}API +(http\S+)\/graphql$/m))[1] as string;
}, 60_000);
afterAll(async () => {
  await howdah.ends("SIGTERM");
  await project.remove();
});

/** Runs the shell blocks of a page in one shell, and returns what each of them printed. */
async function runBlocks(page: string): Promise<string[]> {
  const text = await readFile(join(project.root, page), "utf8");
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
  const script = blocks
    .map((block) => `${block.replaceAll("http://127.0.0.1:5678", api)}\necho '--- next'\n`)
    .join("");
  const shell = run("bash", ["-eu", "-c", script], { cwd: project.root });
  expect(await shell.ends(), shell.output()).toBe(0);
  return shell.output().split("--- next\n");
}

it("docs/accounts.md: each flow works as it is written there", { timeout: 60_000 }, async () => {
  const printed = await runBlocks("docs/accounts.md");
  const expected: RegExp[] = [
    /^$/,
    /"me":\{"firstName":"Grace","email":"grace@example.com","emailVerified":false\}/,
    /"expiresIn":900[\s\S]*"code":"UNAUTHENTICATED"/,
    /"refreshTokens":\{"tokens":\{"expiresIn":900\}\}/,
    /"deviceInfo":"Grace s laptop"[\s\S]*"sessions":\{"totalCount":1\}/,
    /"emailVerified":true/,
    /"phoneVerified":false[\s\S]*"phone":"\+49305550100","phoneVerified":true/,
    /"changePassword":\{"user":\{"id":\d+\}\}/,
    /"resetPassword":\{"clientMutationId":null\}[\s\S]*"code":"SESSION_REVOKED"/,
    /"kind":"LOGGED_IN"[\s\S]*"kind":"PASSWORD_RESET"[\s\S]*"kind":"SIGNED_UP"/,
    /"email": ?"grace@example.com"[\s\S]*"deleteAccount":\{[\s\S]*"code":"SESSION_REVOKED"/,
    /User 1 is an operator\./,
  ];
  expect(printed.slice(0, -1)).toHaveLength(expected.length);
  for (const [index, pattern] of expected.entries()) expect(printed[index]).toMatch(pattern);
});
