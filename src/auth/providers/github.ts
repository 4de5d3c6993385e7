import * as openid from "openid-client";
import { z } from "zod";
import type { ProviderConfig } from "../../config.ts";
import { askProvider, createClient, getJson } from "./oauth2-client.ts";
import { codeChallenge, type Provider, tokenExpiry } from "./provider.ts";

const userSchema = z.object({
  id: z.int().positive(),
  login: z.string(),
  name: z.string().nullish(),
  avatar_url: z.string().nullish(),
});

const emailsSchema = z.array(
  z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }),
);

/** GitHub by OAuth 2.0: only the primary address counts, and only when it is verified. */
export function createGitHub(config: ProviderConfig): Provider {
  const server: openid.ServerMetadata = {
    issuer: `${config.baseUrl}/login/oauth`,
    authorization_endpoint: `${config.baseUrl}/login/oauth/authorize`,
    token_endpoint: `${config.baseUrl}/login/oauth/access_token`,
  };

  return {
    async authorizationUrl(checks, signal) {
      return openid.buildAuthorizationUrl(createClient(server, config, signal), {
        redirect_uri: checks.redirectUri,
        scope: "read:user user:email",
        state: checks.state,
        code_challenge: codeChallenge(checks.codeVerifier),
        code_challenge_method: "S256",
      });
    },

    async identify(callbackUrl, checks, signal) {
      return askProvider(async () => {
        const tokens = await openid.authorizationCodeGrant(
          createClient(server, config, signal),
          callbackUrl,
          { expectedState: checks.state, pkceCodeVerifier: checks.codeVerifier },
        );
        const get = (path: string) =>
          getJson(
            new URL(`${config.apiUrl}${path}`),
            {
              accept: "application/vnd.github+json",
              authorization: `Bearer ${tokens.access_token}`,
              "x-github-api-version": "2022-11-28",
            },
            signal,
          );
        const user = userSchema.parse(await get("/user"));
        const emails = emailsSchema.parse(await get("/user/emails"));
        const address = emails.find(({ primary, verified }) => primary && verified);
        const [firstName, ...lastNames] = (user.name ?? user.login).trim().split(/\s+/);
        return {
          provider: "github",
          subject: String(user.id),
          email: address?.email,
          emailVerified: address !== undefined,
          firstName: firstName || user.login,
          lastName: lastNames.join(" ") || undefined,
          picture: user.avatar_url ?? undefined,
          accessToken: tokens.access_token,
          refreshToken: tokens.refresh_token,
          tokenExpiry: tokenExpiry(tokens.expiresIn()),
        };
      });
    },
  };
}
