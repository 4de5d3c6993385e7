import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withUser } from "../../src/database/connections.ts";
import { postgresAccount } from "../../src/database/embedded/account.ts";
import { initialise } from "../../src/database/embedded/directory.ts";
import { startServer } from "../../src/database/embedded/watchdog.ts";
import { freePort } from "./free-port.ts";
import { TEST_PASSWORD } from "./global-setup.ts";

/** Debian's place for each major version. */
const INSTALLED = "/usr/lib/postgresql";

/** Of the system's newest PostgreSQL with its tools; undefined where there is none. */
const major = existsSync(INSTALLED)
  ? readdirSync(INSTALLED)
      .map(Number)
      .sort((a, b) => b - a)
      .find((one) => existsSync(join(INSTALLED, String(one), "bin/pg_dump")))
  : undefined;
export const systemBinaries = major && join(INSTALLED, String(major), "bin");

/** A server of the system's PostgreSQL, which has the tools that the embedded one lacks. */
export async function startSystemPostgres(): Promise<{
  superuserUrl: string;
  stop(): Promise<void>;
}> {
  if (!major || !systemBinaries) throw new Error(`There is no PostgreSQL in ${INSTALLED}.`);
  const account = postgresAccount();
  const home = await mkdtemp(join(tmpdir(), "howdah-system-"));
  await chmod(home, 0o755);
  const server = {
    directory: join(home, "postgres"),
    account,
    binaries: {
      initdb: join(systemBinaries, "initdb"),
      pgCtl: join(systemBinaries, "pg_ctl"),
      postgres: join(systemBinaries, "postgres"),
      major,
    },
  };
  await initialise(server, TEST_PASSWORD, false);
  const port = await freePort();
  const started = await startServer(server, {
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
  });
  return {
    superuserUrl: withUser(`postgres://127.0.0.1:${port}/postgres`, "postgres", TEST_PASSWORD),
    async stop() {
      await started.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
