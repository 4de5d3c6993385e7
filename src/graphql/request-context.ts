import "postgraphile";
import "postgraphile/grafserv/node";
import type { IncomingMessage } from "node:http";
import type { Pool } from "pg";
import type { WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import { type ExecutionArgs, getOperationAST } from "postgraphile/graphql";
import type { AccessTokens, Identity } from "../auth/access-tokens.ts";
import type { Accounts, Client } from "../auth/accounts.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { SignIn } from "../auth/sign-in.ts";
import { markReading } from "../database/replica-reads.ts";
import { markQuery, markSubscription, verifySession } from "../database/request-settings.ts";
import { clientAddress } from "../http/client-address.ts";
import { newRequestScope, type RequestScope } from "../request-scope.ts";
import type { Tracing } from "../tracing.ts";
import { createDemand, type Demand, paced } from "./demand.ts";
import type { LiveEvents } from "./live-events.ts";
import type { LiveTables } from "./live-tables.ts";

declare global {
  namespace Grafast {
    interface Context {
      identity: Identity;
      accounts: Accounts;
      credentials: Credentials;
      signIn: SignIn;
      liveEvents: Pick<LiveEvents, "subscribe">;
      liveTables: LiveTables;
      /** Of the client of a subscription, for more results. */
      demand: Demand;
      /** Asks whether the session of this request lives. */
      verifySession(): Promise<void>;
      /** Asks once whether the session of this request lives, where no transaction has yet. */
      ensureSession(): Promise<void>;
      /** For its line in the log and the metrics. */
      scope: RequestScope;
      /** Where the request came from; for sessions, limits and the security log. */
      client: Client;
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
  credentials: Credentials;
  signIn: SignIn;
  liveEvents: LiveEvents;
  liveTables: LiveTables;
  rateLimitFactor: number;
  /** Proxies whose X-Forwarded-For is believed. */
  trustProxy: number;
  tracing: Tracing | undefined;
  pool: Pool;
  withPgClient: WithPgClient<NodePostgresPgClient>;
  /** The settings of requests whose session is known to live. */
  verified: WeakSet<object>;
}) {
  const { accessTokens, liveEvents, liveTables, rateLimitFactor, trustProxy, pool, verified } =
    options;
  const { accounts, credentials, signIn, withPgClient } = options;
  return (
    request: Partial<Grafast.RequestContext>,
    { document, operationName, variableValues }: Partial<ExecutionArgs> = {},
  ): Partial<Grafast.Context> => {
    const { identity, client } = who(request, accessTokens, trustProxy);
    // Each operation on a WebSocket is a request of its own.
    const known = request.node?.req.scope;
    const scope = known ?? newRequestScope();
    if (!known) scope.trace = options.tracing?.begin();
    scope.userId = identity.userId;
    scope.sessionId = identity.sessionId;
    // The settings are this request's own object: see identityOf().
    Object.assign(identity.settings, {
      "request.ip": client.ip ?? "",
      "request.user_agent": client.userAgent ?? "",
      "request.rate_limit_factor": String(rateLimitFactor),
    });
    const verifyNow = async () => {
      if (identity.sessionId === undefined) return;
      await verifySession(pool, identity.settings);
      verified.add(identity.settings);
    };
    const ensureSession = async () => {
      if (!verified.has(identity.settings)) await verifyNow();
    };
    const { settings: pgSettings } = identity;
    const operation = document && getOperationAST(document, operationName);
    if (document) scope.asked = { document, variables: variableValues ?? {} };
    if (operation) scope.operation = operation.name?.value ?? "";
    // What subscriptions read is shared among them: their settings have nothing of one request alone.
    if (operation?.operation === "subscription") markSubscription(pgSettings);
    else pgSettings["request.id"] = scope.id;
    if (scope.trace && operation?.operation !== "subscription") {
      pgSettings["request.traceparent"] = scope.trace.traceparent;
    }
    if (operation?.operation === "query") {
      markQuery(pgSettings);
      if (mayBeStale(request)) markReading(pgSettings);
    }
    const demand = createDemand();
    return {
      identity,
      scope,
      client,
      accounts,
      credentials,
      signIn,
      liveEvents: { subscribe: (topic) => paced(liveEvents.subscribe(topic), demand) },
      liveTables: {
        subscribe: async (request) => paced(await liveTables.subscribe(request), demand),
      },
      demand,
      verifySession: verifyNow,
      ensureSession,
      pgSettings,
      withPgClient,
    };
  };
}

/**
 * Whether a moment's delay of a replica does no harm: not where the client asks for what is (RFC 9111), nor
 * on a WebSocket, whose client has just been told that something has changed.
 */
function mayBeStale({ node }: Partial<Grafast.RequestContext>): boolean {
  return node !== undefined && !/no-cache|max-age=0/i.test(node.req.headers["cache-control"] ?? "");
}

function who(
  request: Partial<Grafast.RequestContext>,
  accessTokens: AccessTokens,
  trustProxy: number,
): { identity: Identity; client: Client } {
  const { node, ws } = request;
  if (node) {
    const { identity } = node.req;
    if (!identity) throw new Error("A request reached GraphQL without a look at its bearer token.");
    return { identity, client: clientOf(node.req, trustProxy) };
  }
  if (!ws) throw new Error("A request reached GraphQL by a way that has no authentication.");
  return {
    identity: accessTokens.authenticate(ws.normalizedConnectionParams?.authorization),
    client: ws.request ? clientOf(ws.request, trustProxy) : { ip: undefined, userAgent: undefined },
  };
}

function clientOf(request: IncomingMessage, trustProxy: number): Client {
  return {
    ip: clientAddress(request, trustProxy),
    userAgent: request.headers["user-agent"],
  };
}
