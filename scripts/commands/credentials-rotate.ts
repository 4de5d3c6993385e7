import { credentialsKeys } from "../../src/auth/keys.ts";
import { PROVIDER_TOKENS, rotateProviderTokens } from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import type { Command } from "../command.ts";

export const credentialsRotate: Command = {
  usage: "",
  args: 0,
  summary:
    "encrypts providers' tokens anew with CREDENTIALS_KEY, after which CREDENTIALS_PREVIOUS_KEYS can go",
  async run({ database, config, progress }) {
    const keyring = createKeyring(await credentialsKeys(config), PROVIDER_TOKENS);
    progress("encrypting");
    const count = await rotateProviderTokens(database, keyring);
    return { json: { credentials: count }, text: [`${count} credentials were encrypted anew.`] };
  },
};
