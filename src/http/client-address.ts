import type { IncomingMessage } from "node:http";
import proxyAddr from "proxy-addr";

/** Where a request comes from: `trustProxy` hops are believed to say so (TRUST_PROXY). */
export function clientAddress(request: IncomingMessage, trustProxy: number): string {
  return proxyAddr(request, (_address, hop) => hop < trustProxy);
}
