import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { generatedSecret } from "../src/generated-secrets.ts";

it("those who ask for it at once get one and the same secret, whole, that only its owner may read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "howdah-secrets-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (let round = 0; round < 20; round += 1) {
    const found = await Promise.all(
      Array.from({ length: 20 }, () =>
        generatedSecret(folder, `secret-${round}`, () => randomBytes(100_000).toString("hex")),
      ),
    );
    expect(new Set(found).size).toBe(1);
    expect(found[0]).toHaveLength(200_000);
  }
  const files = await readdir(join(folder, "secrets"));
  expect(files).toHaveLength(20);
  for (const file of files) {
    expect((await stat(join(folder, "secrets", file))).mode & 0o777).toBe(0o600);
  }
});
