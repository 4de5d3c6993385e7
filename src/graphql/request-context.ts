import "postgraphile";
import "postgraphile/adaptors/pg";
import "postgraphile/grafserv/express/v4";
import type { Request } from "express";
import type { AccessTokens, Identity } from "../auth/access-tokens.ts";
import type { Accounts } from "../auth/accounts.ts";
import type { LiveEvents } from "./live-events.ts";

declare global {
  namespace Grafast {
    interface Context {
      identity: Identity;
      accounts: Accounts;
      liveEvents: LiveEvents;
      /** The client's address; for sessions and limits. */
      ipAddress: string | undefined;
    }
  }
  namespace Express {
    interface Request {
      /** Set by the bearer middleware before GraphQL sees the request. */
      identity?: Identity;
    }
  }
}

/**
 * Makes the context of one operation: who asks, and the PostgreSQL settings that say so. Over HTTP
 * the bearer middleware has verified the token; over a WebSocket it came with the connection and
 * is verified again for each operation, so that an expired one ends here.
 */
export function createRequestContext(options: {
  accessTokens: AccessTokens;
  accounts: Accounts;
  liveEvents: LiveEvents;
}) {
  return (request: Partial<Grafast.RequestContext>): Partial<Grafast.Context> => {
    const { identity, ipAddress } = who(request, options.accessTokens);
    return {
      identity,
      ipAddress,
      accounts: options.accounts,
      liveEvents: options.liveEvents,
      pgSettings: identity.settings,
    };
  };
}

function who(request: Partial<Grafast.RequestContext>, accessTokens: AccessTokens) {
  const http = request.expressv4?.req as Request | undefined;
  if (http) {
    if (!http.identity) throw new Error("A request reached GraphQL without the bearer middleware.");
    return { identity: http.identity, ipAddress: http.ip };
  }
  const { ws } = request;
  if (!ws) throw new Error("A request reached GraphQL by a way that has no authentication.");
  return {
    identity: accessTokens.authenticate(ws.normalizedConnectionParams?.authorization),
    ipAddress: ws.request?.socket.remoteAddress,
  };
}
