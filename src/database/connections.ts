import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Config } from "../config.ts";
import { generatedSecret } from "../generated-secrets.ts";

/** The URLs of a database, and the way to let go of it. */
export interface Connections {
  /** The owner's: migrations and worker. Absent for an API process that was not given it. */
  ownerUrl: string | undefined;
  /** The API's: role howdah_authenticator. Absent for a production process that was not given it. */
  authenticatorUrl: string | undefined;
  /** Direct, for LISTEN: as authenticatorUrl unless there is one of its own. */
  listenUrl: string | undefined;
  /** Of the embedded cluster only: may create and drop databases. */
  superuserUrl: string | undefined;
  /** Set where this process derived it and `migrate` is to store it. */
  authenticatorPassword: string | undefined;
  /** Stops the embedded cluster, where this process started it. */
  stop(): Promise<void>;
}

const OWNER = "howdah_owner";
const AUTHENTICATOR = "howdah_authenticator";
const DATABASE = "howdah";

/** Works out how to reach the database; without any URL that is the embedded cluster, started. */
export async function openConnections(config: Config): Promise<Connections> {
  if (config.databaseUrl === undefined && config.authenticatorDatabaseUrl === undefined) {
    return openEmbedded(config);
  }
  const { authenticatorUrl, authenticatorPassword } = await authenticator(config);
  return {
    ownerUrl: config.databaseUrl,
    authenticatorUrl,
    listenUrl: config.listenDatabaseUrl ?? authenticatorUrl,
    superuserUrl: undefined,
    authenticatorPassword,
    stop: async () => {},
  };
}

async function authenticator(config: Config) {
  if (config.authenticatorDatabaseUrl !== undefined) {
    const { username, password } = new URL(config.authenticatorDatabaseUrl);
    return {
      authenticatorUrl: config.authenticatorDatabaseUrl,
      // Somebody else's role keeps its password: only our own gets the one that the URL names.
      authenticatorPassword:
        username === AUTHENTICATOR && password !== "" ? decodeURIComponent(password) : undefined,
    };
  }
  // Only the API needs it, and says so; the others must not make up a password in production.
  if (config.production) return { authenticatorUrl: undefined, authenticatorPassword: undefined };
  const password = await generatedPassword(config, "authenticator-password");
  return {
    authenticatorUrl: withUser(config.databaseUrl as string, AUTHENTICATOR, password),
    authenticatorPassword: password,
  };
}

async function openEmbedded(config: Config): Promise<Connections> {
  const { startEmbeddedCluster } = await import("./embedded/cluster.ts");
  const cluster = await startEmbeddedCluster({ dataDirectory: config.dataDirectory });
  try {
    const ownerPassword = await generatedPassword(config, "owner-password");
    const authenticatorPassword = await generatedPassword(config, "authenticator-password");
    await ensureOwner(cluster.superuserUrl(), ownerPassword);
    const superuserUrl = cluster.superuserUrl(DATABASE);
    const authenticatorUrl = withUser(superuserUrl, AUTHENTICATOR, authenticatorPassword);
    return {
      ownerUrl: withUser(superuserUrl, OWNER, ownerPassword),
      authenticatorUrl,
      listenUrl: authenticatorUrl,
      superuserUrl,
      authenticatorPassword,
      stop: () => cluster.stop(),
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** The owner is no superuser, as it would not be on a managed server either. */
export async function ensureOwner(superuserUrl: string, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const exists = async (query: string, name: string) =>
      (await client.query(query, [name])).rowCount !== 0;
    if (!(await exists("select from pg_roles where rolname = $1", OWNER))) {
      await client.query(
        `create role ${OWNER} login createrole password ${client.escapeLiteral(password)}`,
      );
    }
    if (!(await exists("select from pg_database where datname = $1", DATABASE))) {
      await client.query(`create database ${DATABASE} owner ${OWNER}`);
      await client.query(`revoke all on database ${DATABASE} from public`);
      await client.query(`alter database ${DATABASE} set timezone = 'UTC'`);
    }
  } finally {
    await client.end();
  }
}

/** The same server and database for another role. */
export function withUser(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = encodeURIComponent(password);
  return changed.href;
}

function generatedPassword(config: Config, name: string): Promise<string> {
  return generatedSecret(config.dataDirectory, name, () => randomBytes(24).toString("base64url"));
}
