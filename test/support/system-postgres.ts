import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { giveTo, postgresAccount } from "../../src/database/embedded/account.ts";
import { freePort } from "./free-port.ts";
import { until } from "./until.ts";

/** Debian's place for each major version. */
const INSTALLED = "/usr/lib/postgresql";

/** Of the system's newest PostgreSQL with its tools; undefined where there is none. */
export const systemBinaries: string | undefined = existsSync(INSTALLED)
  ? readdirSync(INSTALLED)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(INSTALLED, version, "bin"))
      .find((path) => ["initdb", "postgres", "pg_dump"].every((one) => existsSync(join(path, one))))
  : undefined;

/** A server of the system's PostgreSQL, which has the tools that the embedded one lacks. */
export async function startSystemPostgres(): Promise<{
  superuserUrl: string;
  stop(): Promise<void>;
}> {
  const binaries = systemBinaries as string;
  const account = postgresAccount();
  const home = await mkdtemp(join(tmpdir(), "howdah-system-"));
  giveTo(home, account);
  await chmod(home, 0o755);
  const directory = join(home, "data");
  const started = { ...account, cwd: "/", env: { ...process.env, LC_ALL: "C.UTF-8" } };
  execFileSync(
    join(binaries, "initdb"),
    ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", directory],
    { ...started, stdio: "pipe" },
  );
  const port = await freePort();
  const settings = {
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
  };
  const server = spawn(
    join(binaries, "postgres"),
    [
      "-D",
      directory,
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    { ...started, stdio: "ignore" },
  );
  const ended = once(server, "exit");
  const superuserUrl = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await until(
    async () => {
      const client = new pg.Client({ connectionString: superuserUrl });
      client.on("error", () => {});
      try {
        await client.connect();
        return true;
      } catch {
        return false;
      } finally {
        await client.end().catch(() => {});
      }
    },
    (answers) => answers,
  );
  return {
    superuserUrl,
    async stop() {
      server.kill("SIGINT");
      await ended;
      await rm(home, { recursive: true, force: true });
    },
  };
}
