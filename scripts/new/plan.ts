import { spawnSync } from "node:child_process";
import { access, appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { NewError } from "./names.ts";

const CURRENT = "migrations/current.sql";

/** What is to be written; nothing of it may be there. */
export interface Plan {
  /** What its SQL makes, and first drops, such as `app_public.boats`. */
  object?: string;
  /** For the end of current.sql. */
  sql?: string;
  /** By path. */
  files: Record<string, string>;
  /** What to do then, a line each. */
  next: string[];
}

/** Writes all of a plan or, where one of its files is there already, nothing. */
export async function carryOut(root: string, plan: Plan): Promise<void> {
  for (const file of Object.keys(plan.files)) {
    const isThere = await access(join(root, file)).then(
      () => true,
      () => false,
    );
    if (isThere) throw new NewError(`${file} exists already.`);
  }
  if (plan.sql !== undefined) {
    const current = await readFile(join(root, CURRENT), "utf8").catch(() => "");
    const gap = current === "" ? "" : current.endsWith("\n") ? "\n" : "\n\n";
    await appendFile(join(root, CURRENT), `${gap}${plan.sql}`);
    console.log(`${CURRENT} has it.`);
  }
  for (const [file, text] of Object.entries(plan.files)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    // Not even what has come in this moment.
    await writeFile(join(root, file), formatted(root, file, text), { flag: "wx" });
    console.log(`${file} is new.`);
  }
  for (const line of plan.next) console.log(line);
}

export function show(root: string, plan: Plan): void {
  if (plan.sql !== undefined) console.log(`-- ${CURRENT}, at its end:\n\n${plan.sql}`);
  for (const [file, text] of Object.entries(plan.files)) {
    console.log(`// ${file}\n\n${formatted(root, file, text)}`);
  }
}

/** As `npm run check` wants it; as it is where there is no formatter, as in production. */
function formatted(root: string, file: string, text: string): string {
  const { status, stdout } = spawnSync(
    join(root, "node_modules/.bin/biome"),
    ["format", `--stdin-file-path=${file}`],
    {
      cwd: root,
      input: text,
      encoding: "utf8",
    },
  );
  return status === 0 && stdout !== "" ? stdout : text;
}
