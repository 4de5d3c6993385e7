import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { ErrorCode } from "./errors.ts";
import type { Asked } from "./graphql/wrong-value.ts";

/** A request as part of a trace, where traces are on. */
export interface RequestTrace {
  /** Of this request's own span (W3C Trace Context), for whatever it calls. */
  readonly traceparent: string;
  /** Runs a statement as a part of it. */
  statement<T>(text: string, run: () => Promise<T>): Promise<T>;
  end(scope: RequestScope, status: number | undefined): void;
}

/** What is known of a request while it is answered: for its line in the log and for the metrics. */
export interface RequestScope {
  /** The same in the log, in `X-Request-Id`, as `errorId`, and as `requestId` in the jobs that it caused. */
  readonly id: string;
  /**
   * Name of the operation, "" where it has none; null until it has been read and found valid, and
   * undefined where this is no GraphQL.
   */
  operation: string | null | undefined;
  /** The operation with its variables, for whoever has to say which of the values is wrong; never logged. */
  asked: Asked | undefined;
  userId: number | undefined;
  sessionId: number | undefined;
  /** The user to whom it gave tokens. */
  tokensFor: number | undefined;
  /** Milliseconds that it waited for a connection of the pool. */
  poolWait: number;
  trace: RequestTrace | undefined;
  /** Codes of the errors that it was answered with. */
  codes: ErrorCode[];
}

const storage = new AsyncLocalStorage<RequestScope>();

export function newRequestScope(id: string = randomUUID()): RequestScope {
  return {
    id,
    operation: undefined,
    asked: undefined,
    userId: undefined,
    sessionId: undefined,
    tokensFor: undefined,
    poolWait: 0,
    trace: undefined,
    codes: [],
  };
}

/** Runs what belongs to a request; all that it awaits belongs to it as well. */
export function inRequest<T>(scope: RequestScope, run: () => T): T {
  return storage.run(scope, run);
}

/** The request that this is done for, if any. */
export function currentRequest(): RequestScope | undefined {
  return storage.getStore();
}

/** Runs a statement as a part of the request's trace, where there is one. */
export function traced<T>(text: string, run: () => Promise<T>): Promise<T> {
  return currentRequest()?.trace?.statement(text, run) ?? run();
}
