import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { everything } from "../support/import.ts";
import { runEntry } from "../support/processes.ts";
import { createTemplateDatabase, type TemplateDatabase } from "../support/template.ts";

const HASH = `$2b$04$${"s".repeat(53)}`;
const SECRETS = [HASH, "secret-refresh-token-secret-refresh", "secret-phone", "secret-access"];

let template: TemplateDatabase;
let database: TestDatabase;

beforeAll(async () => {
  template = await createTemplateDatabase();
  database = await createTestDatabase();
  await template.pool.query(
    `insert into users (first_name, email, password_hash, timezone)
     select 'Person', 'person' || n || '@example.com', '${HASH}', 'Nowhere'
     from generate_series(1, 25) n;
     insert into refresh_tokens (user_id, token, expires_at)
     values (1, '${SECRETS[1]}', now() + interval '1 day'), (1, 'secret-refresh-token', now() + interval '1 day');
     insert into device_tokens (user_id, token, device_type) values (1, '${SECRETS[2]}', 'toaster');
     insert into oauth2_credentials (user_id, provider, email, access_token)
     values (1, 'google', 'person1@example.com', '${SECRETS[3]}')`,
  );
});
afterAll(async () => {
  await database.drop();
  await template.drop();
});

async function command(...args: string[]): Promise<{ code: number | null; output: string }> {
  const running = runEntry(
    "scripts/howdah.ts",
    { DATABASE_URL: database.ownerUrl, CREDENTIALS_KEY: Buffer.alloc(32, 7).toString("base64") },
    ["import:fastapi", ...args],
  );
  const code = await running.ends();
  return { code, output: running.output() };
}

describe("npm run howdah -- import:fastapi", { timeout: 40_000 }, () => {
  it("refuses what it does not know, so that a slip does not do the real thing", async () => {
    const before = await everything(database);
    expect(await command("--from", template.url, "--dryrun")).toEqual({
      code: 2,
      output: expect.stringContaining("Unknown option '--dryrun'"),
    });
    expect(await command("--dry-run")).toEqual({
      code: 2,
      output: "From where? Give --from postgres://user:password@host/database.\n",
    });
    expect((await command(template.url, "--dry-run")).output).toBe(
      `"${template.url}" is one argument too many.\n`,
    );
    expect(await command("--from", "postgres://me:hunter2@127.0.0.1:1/app")).toEqual({
      code: 1,
      output:
        "Not imported: the old database at 127.0.0.1:1 is not reachable (ECONNREFUSED). Check the URL of --from.\n",
    });
    expect(await everything(database)).toEqual(before);
  });

  it("says what a dry run would move, skip and change, and changes nothing", async () => {
    const before = await everything(database);
    const { code, output } = await command("--from", template.url, "--dry-run");
    expect(code).toBe(0);
    expect(output).toBe(`users: 25 would be moved, 0 here already, 0 would be skipped, of 25
  noted 25, timezone_unknown (no time zone, or none that is known: it became UTC): 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 and 5 more (--json lists all)
refresh_tokens: 1 would be moved, 0 here already, 1 would be skipped, of 2
  skipped 1, token_unusable (shorter than 32 characters or longer than 4,096: these users log in again): 2
device_tokens: 0 would be moved, 0 here already, 1 would be skipped, of 1
  skipped 1, device_type_unknown (neither ios nor android nor web): 1
notifications: 0 would be moved, 0 here already, 0 would be skipped, of 0
oauth2_credentials: 1 would be moved, 0 here already, 0 would be skipped, of 1
items: 0 would be moved, 0 here already, 0 would be skipped, of 0
A dry run: nothing was changed.
`);
    expect(await everything(database)).toEqual(before);
  });

  it("moves it, takes SQLAlchemy's URLs, lists all ids as JSON, and prints no secret", async () => {
    const sqlalchemy = template.url.replace("postgres:", "postgresql+asyncpg:");
    const { code, output } = await command("--from", sqlalchemy, "--json");
    expect(code).toBe(0);
    const report = JSON.parse(output);
    expect(report.tables.users).toMatchObject({ rows: 25, moved: 25, present: 0, skipped: 0 });
    expect(report.tables.users.noted.timezone_unknown).toHaveLength(25);
    const again = await command("--from", template.url);
    expect(again.output).toContain("users: 0 moved, 25 here already, 0 skipped, of 25\n");
    expect(again.output).toMatch(/\nDone\.\n$/);
    for (const secret of [...SECRETS, new URL(template.url).password]) {
      expect(output + again.output).not.toContain(secret);
    }
  });
});
