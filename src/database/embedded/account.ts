import { spawnSync } from "node:child_process";
import { chownSync, readFileSync } from "node:fs";

/** The account that PostgreSQL runs as; empty for our own. */
export interface Account {
  uid?: number;
  gid?: number;
}

/**
 * PostgreSQL refuses to run as root: then it is `postgres` where this machine knows that user, else
 * `nobody`. No account is created for it.
 */
export function postgresAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const accounts = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const found = accounts.find((fields) => fields[0] === name);
    if (found) return { uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error("PostgreSQL cannot run as root, and there is no user postgres or nobody.");
}

/** Whether the account may come to a file or folder: one closed folder above is enough to stop it. */
export function canReach(path: string, account: Account): boolean {
  if (account.uid === undefined) return true;
  const { status, error } = spawnSync("test", ["-x", path], { ...account, cwd: "/" });
  if (error) throw error;
  return status === 0;
}

/** Makes the account the owner of a file or folder that we made for it. */
export function giveTo(path: string, account: Account): void {
  if (account.uid !== undefined && account.gid !== undefined) {
    chownSync(path, account.uid, account.gid);
  }
}
