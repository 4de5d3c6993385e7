import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import type { DatabaseClock } from "../database/clock.ts";
import { type AccessTokens, createAccessTokens } from "./access-tokens.ts";
import { type Accounts, createAccounts } from "./accounts.ts";
import { type Credentials, createCredentials } from "./credentials.ts";
import { createDataDeletion, type DataDeletion } from "./data-deletion.ts";
import { credentialsKeys, type JwtKeys } from "./keys.ts";
import { codeKey } from "./proofs.ts";
import { PROVIDER_TOKENS } from "./provider-tokens.ts";
import { createProviders } from "./providers/providers.ts";
import { createKeyring } from "./sealing.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";
import { createSignInFlow, type SignInFlow } from "./sign-in-flow.ts";

/** All that the API knows of accounts, made from the settings. */
export interface Auth {
  accessTokens: AccessTokens;
  accounts: Accounts;
  credentials: Credentials;
  signIn: SignIn;
  signInFlow: SignInFlow;
  /** Undefined where Facebook is off. */
  dataDeletion: DataDeletion | undefined;
}

export async function createAuth(options: {
  config: Config;
  keys: JwtKeys;
  pool: Pool;
  clock: DatabaseClock;
  logger: Logger;
}): Promise<Auth> {
  const { config, keys, pool, clock, logger } = options;
  const { rateLimitFactor, allowedRedirects, publicUrl } = config;
  const secrets = await credentialsKeys(config);
  const identitySeal = createKeyring(secrets, PROVIDER_TOKENS);
  const providers = createProviders(config.providers);
  const issued = { issuer: config.jwtIssuer, audience: config.jwtAudience };
  const accessTokens = createAccessTokens({ keys, ...issued, clock });
  const session = { accessTokens, ...issued, confirmation: config.signUpConfirmation };
  const { facebook } = config.providers;
  return {
    accessTokens,
    accounts: createAccounts({ pool, rateLimitFactor, ...session }),
    credentials: createCredentials({ pool, rateLimitFactor, codeKey: codeKey(secrets[0]) }),
    signIn: createSignIn({ pool, rateLimitFactor, ...session, providers, identitySeal }),
    signInFlow: createSignInFlow({
      pool,
      clock,
      providers,
      allowedRedirects,
      publicUrl,
      keyring: createKeyring(secrets, "howdah sign-in state"),
      identitySeal,
      rateLimitFactor,
      logger,
    }),
    dataDeletion: facebook && createDataDeletion({ pool, appSecret: facebook.clientSecret }),
  };
}
