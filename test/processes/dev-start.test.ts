import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ANY_PORT } from "../support/dev.ts";
import { run } from "../support/processes.ts";
import { copyOfProject } from "../support/project.ts";

it("what is saved while `npm run dev` starts is followed as soon as it is up", {
  timeout: 240_000,
}, async () => {
  const { root, remove } = await copyOfProject();
  const running = run("npm", ["run", "dev"], { cwd: root, env: ANY_PORT });
  try {
    await running.prints(/current\.sql (is applied|has no statement)/, 150_000);
    await writeFile(
      join(root, "migrations/current.sql"),
      "create or replace function app_public.early() returns int language sql stable as $$ select 1 $$;\n",
    );
    expect(running.output()).not.toContain("Watching");
    await running.prints(/Watching[\s\S]*migrations\/current\.sql is applied/, 120_000);
  } finally {
    await running.ends("SIGTERM");
    await remove();
  }
});
