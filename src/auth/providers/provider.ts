import { createHash } from "node:crypto";
import type { ProviderName } from "../../config.ts";

/** What a provider said of a person; PostgreSQL's app_private.identity, before it is sealed. */
export interface ProviderIdentity {
  provider: ProviderName;
  /** The provider's own id of the person: the only thing that identifies them. */
  subject: string;
  email: string | undefined;
  /** Whether the provider says that it has proven the address. */
  emailVerified: boolean;
  firstName: string | undefined;
  lastName: string | undefined;
  picture: string | undefined;
  accessToken?: string | undefined;
  refreshToken?: string | undefined;
  tokenExpiry?: Date | undefined;
}

/** What ties a provider's answer to the question. */
export interface SignInChecks {
  /** Where the provider sends the browser back: ours, one for each provider. */
  redirectUri: string;
  /** RFC 6749, 10.12. */
  state: string;
  /** RFC 7636. */
  codeVerifier: string;
  /** OpenID Connect Core, 3.1.2.1. */
  nonce: string;
}

export interface Provider {
  /** Where the browser is sent. */
  authorizationUrl(checks: SignInChecks, signal: AbortSignal): Promise<URL>;
  /**
   * Who came back.
   * @param callbackUrl our callback as it was called.
   * @throws {ProviderError}
   */
  identify(callbackUrl: URL, checks: SignInChecks, signal: AbortSignal): Promise<ProviderIdentity>;
}

/** How a sign-in ended without an identity; the error codes of RFC 6749, 4.1.2.1. */
export class ProviderError extends Error {
  override name = "ProviderError";
  readonly code: "access_denied" | "temporarily_unavailable" | "server_error";

  constructor(code: ProviderError["code"], options?: ErrorOptions) {
    super(`The sign-in ended with ${code}.`, options);
    this.code = code;
  }
}

/** What a provider and all its requests may take, milliseconds: the person waits. */
export const PROVIDER_PATIENCE = 8000;

/** S256 of RFC 7636. */
export function codeChallenge(codeVerifier: string): string {
  return createHash("sha256").update(codeVerifier).digest("base64url");
}

/** @param seconds `expires_in` of the provider's token response. */
export function tokenExpiry(seconds: number | undefined): Date | undefined {
  return seconds === undefined ? undefined : new Date(Date.now() + seconds * 1000);
}
