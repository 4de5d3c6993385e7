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
  const text = settingsText(settings);
  if (!settings["jwt.claims.session_id"]) return unverified(text);
  return {
    name: "verified_request_settings",
    text: `with verified as materialized (select app_private.verify_session($1::int, $2::int, $3))
      select count(set_config(key, value, true)) from verified, json_each_text($4::json)`,
    values: [...verification(settings).values, text],
  };
}

/**
 * The same on a replica, where the session is known to live: asks whether it shows what it must.
 * @param transactionId that must have been replayed, if any
 */
export function replicaIdentification(
  settings: RequestSettings,
  transactionId: string | null,
): NamedStatement {
  const text = settingsText(settings);
  if (transactionId === null) return unverified(text);
  return {
    name: "replayed_request_settings",
    text: `with replayed as materialized (select app_private.require_replayed($1::xid8))
      select count(set_config(key, value, true)) from replayed, json_each_text($2::json)`,
    values: [transactionId, text],
  };
}

export type NamedStatement = Statement & { name: string; values: unknown[] };

function settingsText(settings: RequestSettings): string {
  if (!settings.role) throw new Error("A request must have a role.");
  return JSON.stringify(settings);
}

function unverified(text: string): NamedStatement {
  return {
    name: "request_settings",
    text: "select count(set_config(key, value, true)) from json_each_text($1::json)",
    values: [text],
  };
}

function verification(settings: RequestSettings): NamedStatement {
  return {
    name: "verify_session",
    text: "select app_private.verify_session($1::int, $2::int, $3)",
    values: [settings["jwt.claims.session_id"], settings["jwt.claims.user_id"], settings.role],
  };
}
