import { isIP } from "node:net";
import type { RequestHandler } from "express";
import { ApiError } from "../errors.ts";
import { sendGraphQLError } from "./bearer.ts";

/**
 * Whether a name can be nobody's but this machine's or network's: localhost, an IP address, or a name
 * without a dot. Any other may be a stranger's, who has let it point here (DNS rebinding).
 */
export function isLocalName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".localhost");
}

/**
 * In development, whose secrets everybody knows: answers only under local names and those of PUBLIC_URL and
 * ALLOWED_ORIGINS, 421 under any other.
 */
export function localHostsOnly(known: readonly string[]): RequestHandler {
  const names = new Set(known.map((url) => new URL(url).hostname));
  return (request, response, next) => {
    const { host = "localhost" } = request.headers;
    const url = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined;
    if (url && (isLocalName(url.hostname) || names.has(url.hostname))) return next();
    const refusal = new ApiError(
      "FORBIDDEN",
      "In development there is no answer under this name.",
      {
        hint: "Use localhost or an IP address, or set PUBLIC_URL to the address by which it is reached.",
      },
    );
    sendGraphQLError(response, 421, refusal);
  };
}
