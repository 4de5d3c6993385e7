import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { run } from "./processes.ts";

/** Of the role in tests: their clusters are thrown away. */
const PASSWORD = "test";
const PROGRAM = "/usr/sbin/pgbouncer";

/** Debian's PgBouncer in transaction mode before a server, with so many connections to it. */
export async function startPgBouncer(serverUrl: string, poolSize: number, givenPort?: number) {
  const folder = await mkdtemp(join(tmpdir(), "howdah-pgbouncer-"));
  await chmod(folder, 0o755);
  const port = givenPort ?? (await freePort());
  const server = new URL(serverUrl);
  await writeFile(
    join(folder, "pgbouncer.ini"),
    `[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users.txt
pool_mode = transaction
default_pool_size = ${poolSize}
server_login_retry = 1
`,
  );
  await writeFile(join(folder, "users.txt"), `"howdah_authenticator" "${PASSWORD}"\n`);
  // It refuses to be root.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const pgbouncer = run(PROGRAM, [...user, join(folder, "pgbouncer.ini")]);
  await pgbouncer.prints(/process up/);
  const url = new URL(serverUrl);
  url.port = String(port);
  return {
    url: url.href,
    async stop(signal: NodeJS.Signals = "SIGINT") {
      await pgbouncer.ends(signal);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
