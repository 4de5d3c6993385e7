import { Middleware } from "graphile-config";
import { isPromiseLike } from "postgraphile/grafast";

type Handler = (next: Next, arg: unknown) => unknown;
type Done = (error: object | null, result: unknown) => unknown;
type Next = (() => unknown) & { callback(done: Done): unknown };

/**
 * Has graphile-config's middleware, by which each request goes several times, leave nothing behind. There a function is
 * written straight into a property (`next.callback = (…) => …`): V8 takes that for a method, and allocates it among what
 * lives long, where it holds all that it knows, the whole request, until the next major collection. A fifth of what
 * requests allocate was copied twice and kept: test/processes/garbage.test.ts. To be called before the first request.
 */
export function keepMiddlewareYoung(): void {
  Middleware.prototype.run = run as typeof Middleware.prototype.run;
  Middleware.prototype.runSync = run as typeof Middleware.prototype.runSync;
}

function run(
  this: { middleware: Record<string, Handler[] | undefined> },
  name: string,
  arg: unknown,
  activity: (arg: unknown) => unknown,
): unknown {
  const handlers = this.middleware[name];
  return handlers === undefined ? activity(arg) : runFrom(0, handlers, arg, activity);
}

function runFrom(
  index: number,
  handlers: Handler[],
  arg: unknown,
  activity: (arg: unknown) => unknown,
): unknown {
  const handler = handlers[index];
  if (handler === undefined) return activity(arg);
  const go = () => runFrom(index + 1, handlers, arg, activity);
  return handler(Object.assign(go, { callback }), arg);
}

/** Of `next`: goes on, and hands over what comes of it, whether it comes at once or later. */
function callback(this: () => unknown, done: Done): unknown {
  let result: unknown;
  try {
    result = this();
  } catch (error) {
    return done(error as object, undefined);
  }
  if (!isPromiseLike(result)) return done(null, result);
  return result.then(
    (value) => done(null, value),
    (error) => done(error as object, undefined),
  );
}
