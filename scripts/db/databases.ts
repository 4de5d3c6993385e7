import { join, relative, resolve } from "node:path";
import type { Settings as MigrateSettings } from "graphile-migrate";
import pg from "pg";
import { pino } from "pino";
import type { Config } from "../../src/config.ts";
import { openConnections } from "../../src/database/connections.ts";
import { clearAllPools } from "../../src/database/graphile-migrate.ts";
import { migrateSettings } from "../../src/database/migrate.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
export const CURRENT = join(ROOT, "migrations/current.sql");
export const silent = pino({ level: "silent" });

/** What could not be done, and what to do about it. */
export class DatabaseCommandError extends Error {
  override name = "DatabaseCommandError";
}

/** The three databases of the migration commands. */
export interface Databases {
  /** The owner's. */
  url: string;
  name: string;
  /** For people: which database this is. */
  where: string;
  shadowUrl: string;
  /** The shadow database for the role of the API. */
  shadowAuthenticatorUrl: string;
  /** Of a role that may create databases. */
  rootUrl: string;
  authenticatorPassword: string | undefined;
  /** For graphile-migrate, with a shadow and a root database. */
  settings: MigrateSettings & { migrationsFolder: string };
}

/** Finds or derives them, runs `work`, and leaves no shadow database that it made up. */
export async function withDatabases<T>(
  config: Config,
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const connections = await openConnections(config);
  stack.defer(() => connections.stop());
  const { ownerUrl: url, authenticatorUrl, superuserUrl, authenticatorPassword } = connections;
  if (url === undefined || authenticatorUrl === undefined) {
    throw new DatabaseCommandError("DATABASE_URL must be set.");
  }
  const name = databaseOf(url);
  const rootUrl = superuserUrl
    ? inDatabase(superuserUrl, "postgres")
    : (config.rootDatabaseUrl ?? inDatabase(url, "postgres"));
  const shadowUrl =
    (superuserUrl ? undefined : config.shadowDatabaseUrl) ?? inDatabase(url, `${name}_shadow`);
  const shadow = databaseOf(shadowUrl);
  if (shadow === name && new URL(shadowUrl).host === new URL(url).host) {
    throw new DatabaseCommandError("SHADOW_DATABASE_URL names the database itself: it is dropped.");
  }
  if (config.shadowDatabaseUrl === undefined || superuserUrl) {
    stack.defer(() => dropDatabase(rootUrl, shadow));
  }
  stack.defer(() => clearAllPools());
  const { host } = new URL(url);
  const place = superuserUrl ? `embedded, ${relative("", config.dataDirectory) || "."}` : host;
  return await work({
    url,
    name,
    where: `${name} (${place})`,
    shadowUrl,
    shadowAuthenticatorUrl: inDatabase(authenticatorUrl, shadow),
    rootUrl,
    authenticatorPassword,
    settings: {
      ...(await migrateSettings(url, silent)),
      shadowConnectionString: shadowUrl,
      rootConnectionString: rootUrl,
      afterReset: ["!roles.sql", { _: "command", command: installQueue() }],
    },
  });
}

/** Migrations may name the tables of the queue. graphile-migrate sets the variable. */
function installQueue(): string {
  const script = join(import.meta.dirname, "install-queue.ts");
  return `"${process.execPath}" --disable-warning=MODULE_TYPELESS_PACKAGE_JSON "${script}" "$GM_DBURL"`;
}

/** Runs statements in the server's own database. @throws DatabaseCommandError without the right to */
export async function asRoot<T>(
  rootUrl: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: rootUrl });
  client.on("error", () => {});
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    throw new DatabaseCommandError(
      `${message}: a database is dropped and made here, as ${new URL(rootUrl).username} in ${databaseOf(rootUrl)}. Set ROOT_DATABASE_URL to a role that may.`,
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

/** Drops it, whoever is connected. */
export function dropDatabase(rootUrl: string, name: string): Promise<void> {
  return asRoot(rootUrl, async (client) => {
    await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`);
  });
}

/** Makes it anew and empty, with the settings that the old one had. */
export function recreateDatabase(rootUrl: string, name: string, owner: string): Promise<void> {
  return asRoot(rootUrl, async (client) => {
    const { rows } = await client.query<{ setting: string }>(
      `select unnest(s.setconfig) as setting from pg_db_role_setting s
       join pg_database d on d.oid = s.setdatabase where d.datname = $1 and s.setrole = 0`,
      [name],
    );
    const id = client.escapeIdentifier(name);
    await client.query(`drop database if exists ${id} with (force)`);
    await client.query(`create database ${id} owner ${client.escapeIdentifier(owner)}`);
    await client.query(`revoke all on database ${id} from public`);
    for (const { setting } of rows) {
      const [, key = "", value = ""] = /^([^=]+)=([\s\S]*)$/.exec(setting) ?? [];
      await client.query(`alter database ${id} set ${key} = ${client.escapeLiteral(value)}`);
    }
  });
}

export function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

export function inDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(name)}`;
  return changed.href;
}

export function refuseInProduction(config: Config, command: string): void {
  if (!config.production) return;
  throw new DatabaseCommandError(
    `NODE_ENV is production: \`npm run ${command}\` is for development. Production runs \`npm run migrate\`.`,
  );
}
