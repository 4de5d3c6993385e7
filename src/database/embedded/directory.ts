import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Account, canReach, giveTo } from "./account.ts";
import { removeDeadAttempts, uniqueMark } from "./lock.ts";
import { runProgram, type Server } from "./server.ts";

const RELOCATED = "/var/lib/howdah";

/**
 * Where the cluster of this DATA_DIR is: its folder `postgres`, except where root's checkout lies
 * where the account cannot come; then it is below /var/lib/howdah, and stays there.
 * @param dataDirectory a real path
 */
export async function clusterDirectory(dataDirectory: string, account: Account): Promise<string> {
  const inPlace = join(dataDirectory, "postgres");
  if (account.uid === undefined) return inPlace;
  const name = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 16);
  const elsewhere = join(RELOCATED, name, "postgres");
  if (existsSync(inPlace)) {
    if (canReach(dataDirectory, account)) return inPlace;
    throw new Error(
      `the account of PostgreSQL (uid ${account.uid}) cannot come to ${inPlace} any more: let it pass the folders above (chmod o+x), or move the cluster away`,
    );
  }
  if (!existsSync(elsewhere) && canReach(dataDirectory, account)) return inPlace;
  await mkdir(dirname(elsewhere), { recursive: true });
  // Whatever the umask is. The cluster in it is closed to others.
  for (const folder of [RELOCATED, dirname(elsewhere)]) await chmod(folder, 0o711);
  return elsewhere;
}

/**
 * A cluster without its password is of no use. One that was relocated has lost it with its DATA_DIR,
 * which was deleted to begin anew: it is set aside.
 */
export async function checkPassword(
  directory: string,
  dataDirectory: string,
  isRunning: boolean,
): Promise<void> {
  const password = join(dataDirectory, "secrets/postgres-password");
  if (existsSync(password) || !existsSync(directory)) return;
  if (isRunning || dirname(directory) === dataDirectory) {
    throw new Error(
      `${directory} is there, its password is not: put ${password} back, or move both away`,
    );
  }
  await rm(`${directory}.previous`, { recursive: true, force: true });
  await rename(directory, `${directory}.previous`);
}

/** Whether this PostgreSQL, as this account, can work with what is in the directory. */
export async function checkCluster({ directory, account, binaries }: Server): Promise<void> {
  if (!existsSync(directory)) return;
  const { uid } = await stat(directory);
  const own = account.uid ?? process.getuid?.();
  if (own !== undefined && uid !== own) {
    throw new Error(
      `${directory} belongs to uid ${uid}, and PostgreSQL would run as uid ${own}: start as the user who made it, or change its owner (chown -R)`,
    );
  }
  const version = (await readFile(join(directory, "PG_VERSION"), "utf8")).trim();
  if (version !== String(binaries.major)) {
    throw new Error(
      `${directory} was made by PostgreSQL ${version}, this is ${binaries.major}: dump it with the old version, move it away, and restore`,
    );
  }
}

/**
 * Makes the data directory whole or not at all: initdb works beside it, a rename ends it.
 * @param durable false to save the 0.2 s that it takes to have it on the disk
 */
export async function initialise(
  server: Server,
  password: string,
  durable: boolean,
): Promise<void> {
  const { directory, account, binaries } = server;
  await removeDeadAttempts(`${directory}.partial`);
  if (existsSync(directory)) return;
  const partial = `${directory}.partial-${uniqueMark()}`;
  await mkdir(partial, { mode: 0o700 });
  try {
    giveTo(partial, account);
    const passwordFile = join(partial, "password");
    await writeFile(passwordFile, password, { mode: 0o600 });
    giveTo(passwordFile, account);
    const { code, output } = await runProgram(
      binaries.initdb,
      [
        `--pgdata=${join(partial, "data")}`,
        "--username=postgres",
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
        ...(durable ? [] : ["--no-sync"]),
      ],
      account,
    );
    if (code !== 0) {
      throw new Error(`initdb failed: ${output.trim().split("\n").slice(-5).join(" ")}`);
    }
    await rename(join(partial, "data"), directory);
    if (durable) await syncFolder(dirname(directory));
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
