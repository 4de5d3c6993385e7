import type { Logger } from "pino";
import type { makeGraphQLWSConfig } from "postgraphile/grafserv";
import type { ErrorCode } from "../errors.ts";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import { inRequest, newRequestScope, type RequestScope } from "../request-scope.ts";
import { logRequest } from "./request-log.ts";

type Config = ReturnType<typeof makeGraphQLWSConfig>;
type Errors = readonly { extensions?: { [name: string]: unknown } | undefined }[];

/** Operations of WebSockets are requests, too: a line and a measurement of each; of a subscription as it opens. */
export function logOperations(
  config: Config,
  { logger, metrics }: { logger: Logger; metrics: ApiMetrics },
): Config {
  const took = new WeakMap<RequestScope, number>();
  const scopeOf = (args: { contextValue?: unknown }) =>
    (args.contextValue as Grafast.Context).scope;

  function done(scope: RequestScope, duration: number): void {
    metrics.observe(scope, duration / 1000);
    logRequest(logger, scope, { transport: "ws", duration });
  }

  return {
    ...config,
    async execute(args) {
      const scope = scopeOf(args);
      const began = performance.now();
      const result = await inRequest(scope, () => config.execute?.(args));
      took.set(scope, performance.now() - began);
      return result as never;
    },
    async subscribe(args) {
      const scope = scopeOf(args);
      const began = performance.now();
      const results = await inRequest(scope, () => config.subscribe?.(args));
      done(scope, performance.now() - began);
      return results as never;
    },
    async onNext(context, id, payload, args, result) {
      const scope = scopeOf(args);
      // The mask is applied here, and says what went wrong under the id of this request.
      const masked = await inRequest(scope, () =>
        config.onNext?.(context, id, payload, args, result),
      );
      const codes = codesOf((masked ?? result)?.errors);
      const duration = took.get(scope);
      if (duration === undefined) metrics.countErrors(codes);
      else {
        scope.codes.push(...codes);
        done(scope, duration);
      }
      return masked;
    },
    async onError(context, id, payload, errors) {
      const scope = newRequestScope();
      const masked = await inRequest(scope, () => config.onError?.(context, id, payload, errors));
      scope.codes.push(...codesOf(masked ?? errors));
      metrics.countErrors(scope.codes);
      logRequest(logger, scope, { transport: "ws", duration: 0 });
      return masked;
    },
  };
}

function codesOf(errors: Errors | undefined): ErrorCode[] {
  return (errors ?? []).map(
    ({ extensions }) => (extensions?.code ?? "BAD_USER_INPUT") as ErrorCode,
  );
}
