import { createRemoteJWKSet, type JWTPayload, errors as joseErrors, jwtVerify } from "jose";
import * as openid from "openid-client";
import type { ProviderConfig } from "../../config.ts";
import { ApiError } from "../../errors.ts";
import { askProvider, createClient, withSignal } from "./oauth2-client.ts";
import { codeChallenge, type Provider, type ProviderIdentity, tokenExpiry } from "./provider.ts";

export interface GoogleProvider extends Provider {
  /**
   * Who an ID token is about that a native app got from Google itself.
   * @throws {ApiError} UNAUTHENTICATED, or UNAVAILABLE where Google's keys cannot be had.
   */
  verifyIdToken(idToken: string, nonce: string): Promise<ProviderIdentity>;
}

/** How long discovery may take where no browser waits, milliseconds: the keys come after it. */
const DISCOVERY_PATIENCE = 5000;
/** How long discovery is kept, milliseconds. */
const DISCOVERY_LIFETIME = 3_600_000;
/** Difference between two machines' clocks that is forgiven, seconds. */
const CLOCK_TOLERANCE = 30;

/** Google by OpenID Connect: discovery, code flow with PKCE and nonce, ID tokens by its JWKS. */
export function createGoogle(config: ProviderConfig): GoogleProvider {
  let known: { server: openid.ServerMetadata; keys: KeySet; until: number } | undefined;

  async function discover(signal: AbortSignal): Promise<NonNullable<typeof known>> {
    if (known && known.until > Date.now()) return known;
    const execute = config.baseUrl.startsWith("http:") ? [openid.allowInsecureRequests] : [];
    const found = await openid.discovery(
      new URL(config.baseUrl),
      config.clientId,
      undefined,
      undefined,
      { execute, [openid.customFetch]: withSignal(signal) },
    );
    const server = found.serverMetadata();
    if (!server.jwks_uri) throw new Error("The provider names no key set.");
    const keys = createRemoteJWKSet(new URL(server.jwks_uri), { timeoutDuration: 3000 });
    known = { server, keys, until: Date.now() + DISCOVERY_LIFETIME };
    return known;
  }

  /** Signature, issuer, audience, expiry and nonce. `hd` says nothing about a person: ignored. */
  async function verify(idToken: string, nonce: string, signal: AbortSignal): Promise<Claims> {
    const { server, keys } = await discover(signal);
    const { payload } = await jwtVerify(idToken, keys, {
      algorithms: ["RS256", "ES256"],
      // Google's own tokens name their issuer with and without the scheme.
      issuer: [server.issuer, server.issuer.replace(/^https:\/\//, "")],
      audience: config.clientId,
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: ["sub", "exp", "iat", "nonce"],
    });
    if (payload.nonce !== nonce) throw new joseErrors.JWTClaimValidationFailed("nonce", payload);
    if (!payload.sub) throw new joseErrors.JWTClaimValidationFailed("sub", payload);
    if (Array.isArray(payload.aud) && payload.aud.length > 1 && payload.azp !== config.clientId) {
      throw new joseErrors.JWTClaimValidationFailed("azp", payload);
    }
    return { ...payload, sub: payload.sub };
  }

  return {
    async authorizationUrl(checks, signal) {
      return askProvider(async () => {
        const { server } = await discover(signal);
        return openid.buildAuthorizationUrl(createClient(server, config, signal), {
          redirect_uri: checks.redirectUri,
          scope: "openid email profile",
          state: checks.state,
          nonce: checks.nonce,
          code_challenge: codeChallenge(checks.codeVerifier),
          code_challenge_method: "S256",
        });
      });
    },

    async identify(callbackUrl, checks, signal) {
      return askProvider(async () => {
        const { server } = await discover(signal);
        const client = createClient(server, config, signal);
        const tokens = await openid.authorizationCodeGrant(client, callbackUrl, {
          expectedState: checks.state,
          expectedNonce: checks.nonce,
          pkceCodeVerifier: checks.codeVerifier,
          idTokenExpected: true,
        });
        if (!tokens.id_token) throw new Error("The provider gave no ID token.");
        return {
          ...identityOf(await verify(tokens.id_token, checks.nonce, signal)),
          accessToken: tokens.access_token,
          refreshToken: tokens.refresh_token,
          tokenExpiry: tokenExpiry(tokens.expiresIn()),
        };
      });
    },

    async verifyIdToken(idToken, nonce) {
      try {
        return identityOf(await verify(idToken, nonce, AbortSignal.timeout(DISCOVERY_PATIENCE)));
      } catch (error) {
        if (isRefusal(error)) {
          throw new ApiError("UNAUTHENTICATED", "This ID token is not valid.", {
            hint: "Get a new one from the provider, for the client id of this server.",
          });
        }
        throw new ApiError(
          "UNAVAILABLE",
          "Google cannot be reached for the moment; try again.",
          {},
          {
            cause: error,
          },
        );
      }
    },
  };
}

type KeySet = ReturnType<typeof createRemoteJWKSet>;
type Claims = JWTPayload & { sub: string };

/** Of the token's own making, not of the way to the keys. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof joseErrors.JOSEError &&
    !(error instanceof joseErrors.JWKSTimeout) &&
    !(error instanceof joseErrors.JWKSInvalid) &&
    error.constructor !== joseErrors.JOSEError
  );
}

function identityOf(claims: Claims): ProviderIdentity {
  const text = (name: string) => (typeof claims[name] === "string" ? claims[name] : undefined);
  return {
    provider: "google",
    subject: claims.sub,
    email: text("email"),
    emailVerified: claims.email_verified === true,
    firstName: text("given_name") ?? text("name"),
    lastName: text("family_name"),
    picture: text("picture"),
  };
}
