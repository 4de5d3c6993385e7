import * as openid from "openid-client";
import { ProviderError } from "./provider.ts";

/** A client of one provider for one sign-in: all its requests end with the signal. */
export function createClient(
  server: openid.ServerMetadata,
  client: { clientId: string; clientSecret: string },
  signal: AbortSignal,
): openid.Configuration {
  const configuration = new openid.Configuration(
    server,
    client.clientId,
    client.clientSecret,
    openid.ClientSecretPost(client.clientSecret),
  );
  configuration[openid.customFetch] = withSignal(signal);
  allowHttp(configuration, server.issuer);
  return configuration;
}

/** For stand-ins on this machine; config.ts refuses http in production. */
function allowHttp(configuration: openid.Configuration, url: string): void {
  if (url.startsWith("http:")) openid.allowInsecureRequests(configuration);
}

export function withSignal(signal: AbortSignal): openid.CustomFetch {
  return (url, options) =>
    fetch(url, {
      ...options,
      body: (options.body ?? null) as BodyInit | null,
      signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal,
    });
}

/** The JSON of a provider's API. @throws where it is none, or the status is no success. */
export async function getJson(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: "application/json", "user-agent": "Howdah", ...headers },
    redirect: "error",
    signal,
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`${url.host} answered with ${response.status}.`);
  }
  return response.json();
}

/**
 * Runs what a provider may spoil. A refusal by the person is told apart; everything else (down, slow,
 * HTML instead of JSON, a code that was used) is the provider's and can be tried again.
 */
export async function askProvider<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ProviderError) throw error;
    if (error instanceof openid.AuthorizationResponseError) {
      const code = error.error === "access_denied" ? "access_denied" : "server_error";
      throw new ProviderError(code, { cause: error });
    }
    throw new ProviderError("temporarily_unavailable", { cause: error });
  }
}
