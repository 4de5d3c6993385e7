import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request } from "express";
import type { Logger } from "pino";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import { inRequest, newRequestScope, type RequestScope } from "../request-scope.ts";
import type { Tracing } from "../tracing.ts";
import type { Step } from "./step.ts";

/**
 * One line for each request, and its metrics. The id of a proxy that is believed (TRUST_PROXY) is
 * kept, so that its log and ours are one.
 */
export function logRequests(options: {
  logger: Logger;
  metrics: ApiMetrics;
  trustProxy: number | false;
  tracing: Tracing | undefined;
}): Step {
  const { logger, metrics, trustProxy, tracing } = options;
  return (request, response, next) => {
    const began = performance.now();
    const scope = newRequestScope(trustProxy ? givenId(request) : undefined);
    scope.trace = tracing?.begin(headerOf(request, "traceparent"));
    response.setHeader("X-Request-Id", scope.id);
    response.once("close", () => {
      const duration = performance.now() - began;
      metrics.observe(scope, duration / 1000);
      logRequest(logger, scope, {
        method: request.method,
        path: routeOf(request, response),
        status: response.statusCode,
        duration,
        ...(response.writableFinished ? {} : { aborted: true }),
      });
    });
    request.scope = scope;
    inRequest(scope, next);
  };
}

/** Of an operation's name, characters. */
const MAX_NAME = 200;

export function logRequest(
  logger: Logger,
  scope: RequestScope,
  how: { duration: number; status?: number; [field: string]: unknown },
): void {
  const { id, operation, userId, sessionId, poolWait, codes } = scope;
  scope.trace?.end(scope, how.status);
  const level = (how.status ?? 200) >= 500 ? "warn" : "info";
  if (!logger.isLevelEnabled(level)) return;
  logger[level](
    {
      id,
      ...how,
      ...(operation === undefined
        ? {}
        : { operation: operation === "" ? "unnamed" : (operation?.slice(0, MAX_NAME) ?? null) }),
      userId,
      sessionId,
      duration: tenths(how.duration),
      poolWait: tenths(poolWait),
      ...(codes.length > 0 ? { errors: codes.slice(0, 10) } : {}),
    },
    "request",
  );
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** What Express knows of a request that came to it. */
type Routed = IncomingMessage & Partial<Pick<Request, "originalUrl" | "route">>;

/** No query string, and of a path its pattern alone: what is variable in it may be a code. */
function routeOf(request: Routed, response: ServerResponse): string {
  const [path = ""] = (request.originalUrl ?? request.url ?? "").split("?");
  if (request.route) {
    // Not baseUrl, which an error takes back on its way out of the router.
    const own = segmentsOf(request.route.path);
    const mounted = segmentsOf(path).slice(0, -own.length || undefined);
    return `/${[...mounted, ...own].join("/")}`;
  }
  return KNOWN_PATHS.has(path) || response.statusCode < 400 ? path.slice(0, 100) : "unknown";
}

function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "");
}

/** What grafserv serves has no route of Express's. */
const KNOWN_PATHS = new Set(["/graphql", "/graphiql"]);

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

function givenId(request: IncomingMessage): string | undefined {
  const id = headerOf(request, "x-request-id");
  return id !== undefined && /^[\w.:-]{8,128}$/.test(id) ? id : undefined;
}
