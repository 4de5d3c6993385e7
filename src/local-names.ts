import { isIP } from "node:net";

/**
 * Whether a name can be nobody's but this machine's or network's: localhost, an IP address, or a name
 * without a dot. Any other may be a stranger's, who has let it point here (DNS rebinding).
 */
export function isLocalName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".localhost");
}
