import type { ClientBase, Pool } from "pg";
import type { ProviderIdentity } from "./providers/provider.ts";
import type { Keyring } from "./sealing.ts";

/** Encrypts the tokens of providers at rest; made of the keyring "howdah provider tokens". */
export type IdentitySeal = Keyring;

export const PROVIDER_TOKENS = "howdah provider tokens";

/** An identity as app_private.identity takes it, its tokens encrypted. */
export function sealIdentity(identity: ProviderIdentity, keyring: IdentitySeal) {
  const { provider, subject } = identity;
  const sealed = (token: string | undefined, kind: string) =>
    token === undefined
      ? undefined
      : `\\x${keyring.seal(token, contextOf(provider, subject, kind)).toString("hex")}`;
  return {
    provider,
    subject: plain(subject),
    email: plain(identity.email),
    email_verified: identity.emailVerified,
    first_name: plain(identity.firstName),
    last_name: plain(identity.lastName),
    picture: plain(identity.picture),
    access_token_encrypted: sealed(identity.accessToken, "access"),
    refresh_token_encrypted: sealed(identity.refreshToken, "refresh"),
    token_expiry: identity.tokenExpiry?.toISOString(),
  };
}

/** What a provider sends may be anything: no lone surrogates, and blanks for control characters. */
function plain<T extends string | undefined>(text: T): T {
  return text?.toWellFormed().replace(/\p{Cc}/gu, " ") as T;
}

interface Row {
  id: number;
  provider: string;
  /** Null for an imported row until its first sign-in. */
  subject: string | null;
  token_expiry: Date | null;
  access_token_encrypted: Buffer | null;
  refresh_token_encrypted: Buffer | null;
}

/** The tokens that a provider gave for a credential, for a task that calls the provider's API. */
export async function readProviderTokens(
  pool: Pool | ClientBase,
  keyring: IdentitySeal,
  oauth2CredentialId: number,
): Promise<{ accessToken?: string; refreshToken?: string; tokenExpiry: Date | null } | undefined> {
  const { rows } = await pool.query<Row>(`${SELECT} where c.id = $1`, [oauth2CredentialId]);
  const [row] = rows;
  if (!row) return undefined;
  const opened = (sealed: Buffer | null, kind: string) =>
    sealed ? openToken(keyring, row, kind, sealed) : undefined;
  const accessToken = opened(row.access_token_encrypted, "access");
  const refreshToken = opened(row.refresh_token_encrypted, "refresh");
  return {
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    tokenExpiry: row.token_expiry,
  };
}

/**
 * Encrypts every token anew that an older key encrypted; afterwards that key can go from
 * CREDENTIALS_PREVIOUS_KEYS. Returns how many rows were changed.
 */
export async function rotateProviderTokens(
  pool: Pool | ClientBase,
  keyring: IdentitySeal,
): Promise<number> {
  let changed = 0;
  let after = 0;
  for (;;) {
    const { rows } = await pool.query<Row>(`${SELECT} where c.id > $1 order by c.id limit 500`, [
      after,
    ]);
    for (const row of rows) {
      const again = (sealed: Buffer | null, kind: string) => {
        if (!sealed || keyring.isCurrent(sealed)) return sealed;
        const [context] = contextsOf(row, kind);
        return keyring.seal(openToken(keyring, row, kind, sealed), context);
      };
      const access = again(row.access_token_encrypted, "access");
      const refresh = again(row.refresh_token_encrypted, "refresh");
      if (access === row.access_token_encrypted && refresh === row.refresh_token_encrypted)
        continue;
      // A sign-in meanwhile has stored newer tokens with the newer key: they stay.
      const { rowCount } = await pool.query(
        `update app_private.oauth2_tokens
         set access_token_encrypted = $2, refresh_token_encrypted = $3
         where oauth2_credential_id = $1
           and access_token_encrypted is not distinct from $4
           and refresh_token_encrypted is not distinct from $5`,
        [row.id, access, refresh, row.access_token_encrypted, row.refresh_token_encrypted],
      );
      changed += rowCount ?? 0;
    }
    const last = rows.at(-1);
    if (!last) return changed;
    after = last.id;
  }
}

const SELECT = `
  select c.id, c.provider, c.subject, c.token_expiry, t.access_token_encrypted, t.refresh_token_encrypted
  from app_private.oauth2_tokens t
  join app_public.oauth2_credentials c on c.id = t.oauth2_credential_id`;

/** Encrypts a token of an imported row: its provider's subject is not known before the first sign-in. */
export function sealImported(
  keyring: IdentitySeal,
  oauth2CredentialId: number,
  kind: "access" | "refresh",
  token: string,
): Buffer {
  return keyring.seal(token, importedContextOf(oauth2CredentialId, kind));
}

/** The first sign-in gives an imported row its subject, but maybe no new refresh token. */
function openToken(keyring: IdentitySeal, row: Row, kind: string, sealed: Buffer): string {
  const [context, imported] = contextsOf(row, kind);
  try {
    return keyring.open(sealed, context);
  } catch (error) {
    if (context === imported) throw error;
    return keyring.open(sealed, imported);
  }
}

function contextsOf({ id, provider, subject }: Row, kind: string): [string, string] {
  const imported = importedContextOf(id, kind);
  return [subject === null ? imported : contextOf(provider, subject, kind), imported];
}

/** As contextOf(), of whose no provider is named so. */
function importedContextOf(id: number, kind: string): string {
  return `imported ${id} ${kind}`;
}

/** A token of one row is of no use in another. */
function contextOf(provider: string, subject: string, kind: string): string {
  return `${provider} ${subject} ${kind}`;
}
