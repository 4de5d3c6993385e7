import type { Config, ProviderName } from "../../config.ts";
import { createFacebook } from "./facebook.ts";
import { createGitHub } from "./github.ts";
import { createGoogle, type GoogleProvider } from "./google.ts";
import type { Provider } from "./provider.ts";

/** The providers that are on. */
export interface Providers {
  get(name: string): Provider | undefined;
  google: GoogleProvider | undefined;
}

export function createProviders(config: Config["providers"]): Providers {
  const google = config.google && createGoogle(config.google);
  const all: Record<ProviderName, Provider | undefined> = {
    google,
    github: config.github && createGitHub(config.github),
    facebook: config.facebook && createFacebook(config.facebook),
  };
  return {
    google,
    get: (name) => (Object.hasOwn(all, name) ? all[name as ProviderName] : undefined),
  };
}
