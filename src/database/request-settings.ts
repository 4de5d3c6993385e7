import type { Pool } from "pg";
import type { Statement } from "./request-query.ts";

/** Settings of one request's transactions: `role` always, the claims where somebody is logged in. */
export type RequestSettings = Record<string, string>;

/** The settings of queries and subscriptions, whose statements change nothing. */
const readOnly = new WeakSet<object>();
/** Of those, the settings of subscriptions: what they read is shared. */
const subscribing = new WeakSet<object>();

export function markQuery(settings: RequestSettings): void {
  readOnly.add(settings);
}

export function markSubscription(settings: RequestSettings): void {
  readOnly.add(settings);
  subscribing.add(settings);
}

export function isReadOnly(settings: object): boolean {
  return readOnly.has(settings);
}

export function isSubscribing(settings: object): boolean {
  return subscribing.has(settings);
}

/** @throws the HWREV error of app_private.verify_session where the session has ended. */
export async function verifySession(
  client: Pick<Pool, "query">,
  settings: RequestSettings,
): Promise<void> {
  await client.query(verification(settings));
}

/**
 * Asks whether the session lives, then becomes the request's role, in one statement.
 * @throws {Error} where the settings have no role
 */
export function identification(settings: RequestSettings): NamedStatement {
  if (!settings["jwt.claims.session_id"]) return becoming(settings);
  const { text, values } = verification(settings);
  return becoming(settings, { name: "verified", text, values });
}

/**
 * The same on a replica, where the session is known to live: asks whether it shows what it must.
 * @param transactionId that must have been replayed, if any
 */
export function replicaIdentification(
  settings: RequestSettings,
  transactionId: string | null,
): NamedStatement {
  if (transactionId === null) return becoming(settings);
  return becoming(settings, {
    name: "replayed",
    text: "select app_private.require_replayed($1::xid8)",
    values: [transactionId],
  });
}

export type NamedStatement = Statement & { name: string; values: unknown[] };

/** By name: there are as many as there are numbers of settings. */
const texts = new Map<string, string>();

/**
 * Sets all of them for the transaction; `first` is a `select` to which that is added. The names of settings are ours,
 * and parameters all the same. A plain list of calls spares PostgreSQL the plan of a join with a JSON object.
 */
function becoming(settings: RequestSettings, first?: NamedStatement): NamedStatement {
  if (!settings.role) throw new Error("A request must have a role.");
  const values = [...(first?.values ?? [])];
  for (const key in settings) values.push(key, settings[key]);
  const name = `${first ? `${first.name}_` : ""}request_settings_${values.length}`;
  let text = texts.get(name);
  if (text === undefined) {
    const calls: string[] = [];
    for (let n = (first?.values.length ?? 0) + 1; n < values.length; n += 2) {
      calls.push(`set_config($${n}, $${n + 1}, true)`);
    }
    text = `${first ? `${first.text}, ` : "select "}num_nonnulls(${calls.join(", ")})`;
    texts.set(name, text);
  }
  return { name, text, values };
}

function verification(settings: RequestSettings): NamedStatement {
  return {
    name: "verify_session",
    text: "select app_private.verify_session($1::int, $2::int, $3)",
    values: [settings["jwt.claims.session_id"], settings["jwt.claims.user_id"], settings.role],
  };
}
