import { ApiError } from "../errors.ts";
import { isLocalName } from "../local-names.ts";
import { sendGraphQLError } from "./errors.ts";
import type { Step } from "./step.ts";

/**
 * In development, whose secrets everybody knows: answers only under local names and those of PUBLIC_URL and
 * ALLOWED_ORIGINS, 421 under any other.
 */
export function localHostsOnly(known: readonly string[]): Step {
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
