import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { useProject } from "../support/project-commands.ts";

const project = useProject();

describe("npm run db:access", () => {
  it("writes the committed access.md again, byte for byte, and shows what current.sql gives", async () => {
    const file = project.path("migrations/access.md");
    const before = await readFile(file, "utf8");
    await project.howdah("access");
    expect(await readFile(file, "utf8")).toBe(before);
    await project.howdah("new:table", "ledgers");
    expect(await project.howdah("access")).toMatchObject({ code: 0 });
    const gained = (await readFile(file, "utf8"))
      .split("\n")
      .filter((line) => !before.includes(line));
    expect(gained).toHaveLength(4);
    expect(gained[0]).toContain(
      "| app_public.ledgers | select | howdah_operator, howdah_user: all |",
    );
  });

  it("shows what is wrong in current.sql, and writes nothing", async () => {
    await writeFile(project.path("migrations/current.sql"), "select 1;\nselekt 2;\n");
    const { code, output } = await project.howdah("access");
    expect(code).toBe(1);
    expect(output).toMatch(/selekt 2;\n.*\^/);
    expect(output).not.toMatch(/^ +at /m);
  });
});
