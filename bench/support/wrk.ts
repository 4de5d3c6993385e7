import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Load {
  url: string;
  token: string;
  body: object;
}

const CONNECTIONS = 32;

/**
 * Requests a second that a server answers, by wrk (Debian's package), which costs the machine little.
 * @throws where an answer was no success, because that would be quick
 */
export async function requestsPerSecond(
  { url, token, body }: Load,
  seconds: number,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-wrk-"));
  try {
    const script = join(folder, "post.lua");
    await writeFile(
      script,
      `wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/graphql-response+json"
wrk.headers["authorization"] = "Bearer ${token}"
wrk.body = ${luaString(JSON.stringify(body))}
local wrong = 0
function response(status, headers, text)
  if status ~= 200 or text:find('"errors"') then wrong = wrong + 1; if wrong == 1 then io.stderr:write(text) end end
end
`,
    );
    const { stdout, stderr } = await promisify(execFile)("wrk", [
      "--threads=1",
      `--connections=${CONNECTIONS}`,
      `--duration=${seconds}s`,
      // A busy machine is slow, and that is no error: it shows in the rate.
      "--timeout=20s",
      `--script=${script}`,
      url,
    ]);
    if (stderr !== "") throw new Error(`${url} refused: ${stderr}`);
    const found = /Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1];
    if (found === undefined || /Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout);
    return Number(found);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @throws where there is no wrk */
export async function requireWrk(): Promise<void> {
  try {
    await promisify(execFile)("wrk", ["--version"]);
  } catch (error) {
    // It has no exit code 0 for any of its answers without a load.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return;
    throw new Error(
      "This bench needs wrk, which makes the load: apt-get install wrk, or brew install wrk.",
      { cause: error },
    );
  }
}

function luaString(text: string): string {
  return `[==[${text}]==]`;
}
