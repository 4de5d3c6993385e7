import pg from "pg";
import { createLogger } from "../../src/logger.ts";

/** Rows of a table that are looked at: those of a bulk test are alike. */
const ROWS = 5000;
const FIELDS =
  "password|newPassword|currentPassword|accessToken|refreshToken|codeVerifier|idToken|linkToken";
const IN_QUERY = new RegExp(`\\b(?:${FIELDS}): "([^"]{8,})"`, "g");
const IN_JSON = new RegExp(`"(?:${FIELDS})":"((?:[^"\\\\]|\\\\.){8,})"`, "g");

/** What the clients of the tests in this process know and nobody else is to. */
const accepted = new Set<string>();
/** What was refused: it has no business in a log either. */
const refused = new Set<string>();
const lines: string[] = [];

/** What APIs and workers of the tests log, unless a test wants to see it itself. */
export const searchedLogger = createLogger(
  { pretty: false },
  { write: (line) => void lines.push(line) },
);

/** Remembers the passwords, tokens and codes of one GraphQL request and its answer. */
export function learnSecrets(
  query: string,
  variables: unknown,
  answer: { data: unknown; errors: unknown[] },
): void {
  const known = answer.errors.length === 0 ? accepted : refused;
  for (const text of [JSON.stringify(variables) ?? "", JSON.stringify(answer.data) ?? ""]) {
    for (const [, found] of text.matchAll(IN_JSON)) known.add(JSON.parse(`"${found}"`) as string);
  }
  for (const [, found] of query.matchAll(IN_QUERY)) known.add(found as string);
}

/** Remembers what a mail, an SMS or a redirect has brought. */
export function learnSecret(secret: string): void {
  // Six digits may stand anywhere.
  if (secret.length >= 8) accepted.add(secret);
}

export function forgetSecret(secret: string): void {
  accepted.delete(secret);
}

/** Every row of every table as text, the queue and the payloads of all jobs that were (keepPayloads()) included. */
export async function dumpOf(superuserUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select c.oid::regclass::text as name from pg_class c
       where c.relkind = 'r' and pg_relation_size(c.oid) > 0
         and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')`,
    );
    const texts = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ rows: string | null }>(
        `select string_agg(t::text, E'\\n') as rows from (select * from ${name} limit ${ROWS}) t`,
      );
      if (rows[0]?.rows) texts.push(`${name}: ${rows[0].rows}`);
    }
    return texts.join("\n");
  } finally {
    await client.end();
  }
}

/** A job that is done is gone: its payload is kept in a table of its own, which the dump has too. */
export async function keepPayloads(superuserUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  await client.query(`
    set role howdah_owner;
    create schema kept;
    create table kept.payloads (task_id int, payload text);
    create function kept.keep_payload() returns trigger
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
    begin
      insert into kept.payloads values (new.task_id, new.payload::text);
      return null;
    end;
    $$;
    create trigger _900_keep_payload after insert or update of payload on graphile_worker._private_jobs
      for each row execute function kept.keep_payload()`);
  await client.end();
}

/** Which of these secrets stand in the text, as words or as they are. */
export function secretsIn(text: string, secrets: Iterable<string>): string[] {
  const words = new Set(text.match(/[\w.-]{8,}/g));
  return [...secrets].filter((secret) =>
    /^[\w.-]+$/.test(secret) ? words.has(secret) : text.includes(secret),
  );
}

/** @throws what the database, its jobs or the logs hold of what only the clients are to know. */
export async function expectNoSecrets(superuserUrl: string): Promise<void> {
  if (accepted.size + refused.size === 0) return;
  const logged = lines.splice(0).join("");
  const found = [
    ...secretsIn(await dumpOf(superuserUrl), accepted).map((it) => `in the database: ${it}`),
    ...secretsIn(logged, [...accepted, ...refused]).map((it) => `in a log: ${it}`),
  ];
  if (found.length > 0) throw new Error(`Secrets in clear:\n${found.join("\n")}`);
}
