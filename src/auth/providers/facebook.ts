import { createHmac } from "node:crypto";
import * as openid from "openid-client";
import { z } from "zod";
import type { ProviderConfig } from "../../config.ts";
import { askProvider, createClient, getJson } from "./oauth2-client.ts";
import { codeChallenge, type Provider, tokenExpiry } from "./provider.ts";

const personSchema = z.object({
  id: z.string().regex(/^\d+$/),
  first_name: z.string().nullish(),
  last_name: z.string().nullish(),
  name: z.string().nullish(),
  email: z.string().nullish(),
  picture: z.object({ data: z.object({ url: z.string() }) }).nullish(),
});

/** Facebook by OAuth 2.0: its address may be absent, and it says of none that it is verified. */
export function createFacebook(config: ProviderConfig): Provider {
  const server: openid.ServerMetadata = {
    issuer: new URL(config.baseUrl).origin,
    authorization_endpoint: `${config.baseUrl}/dialog/oauth`,
    token_endpoint: `${config.apiUrl}/oauth/access_token`,
  };

  return {
    async authorizationUrl(checks, signal) {
      return openid.buildAuthorizationUrl(createClient(server, config, signal), {
        redirect_uri: checks.redirectUri,
        scope: "public_profile,email",
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
        const url = new URL(`${config.apiUrl}/me`);
        url.searchParams.set("fields", "id,first_name,last_name,name,email,picture");
        url.searchParams.set(
          "appsecret_proof",
          appSecretProof(tokens.access_token, config.clientSecret),
        );
        const authorization = `Bearer ${tokens.access_token}`;
        const person = personSchema.parse(await getJson(url, { authorization }, signal));
        return {
          provider: "facebook",
          subject: person.id,
          email: person.email ?? undefined,
          emailVerified: false,
          firstName: person.first_name ?? person.name ?? undefined,
          lastName: person.last_name ?? undefined,
          picture: person.picture?.data.url,
          accessToken: tokens.access_token,
          tokenExpiry: tokenExpiry(tokens.expiresIn()),
        };
      });
    },
  };
}

/** Proves that a call comes from who has the app's secret: a stolen token alone is of no use. */
export function appSecretProof(accessToken: string, appSecret: string): string {
  return createHmac("sha256", appSecret).update(accessToken).digest("hex");
}
