import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../auth/access-tokens.ts";
import type { RequestScope } from "../request-scope.ts";

declare module "node:http" {
  interface IncomingMessage {
    /** Set by requireGoodBearer() before anything else sees the request. */
    identity?: Identity;
    /** Set by logRequests(). */
    scope?: RequestScope;
  }
}

/** Goes on to what comes next, or to the end with an error. */
export type Next = (error?: unknown) => void;

/** A part of a request's way, with Express or without it: it goes on, or answers. */
export type Step = (request: IncomingMessage, response: ServerResponse, next: Next) => void;

/** One step after the other. */
export function inSequence(steps: readonly Step[]): Step {
  return steps.reduceRight<Step>(
    (rest, step) => (request, response, next) =>
      step(request, response, (error) => {
        if (error) next(error);
        else rest(request, response, next);
      }),
    (_request, _response, next) => next(),
  );
}
