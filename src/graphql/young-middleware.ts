import { Middleware } from "graphile-config";
import { isPromiseLike } from "postgraphile/grafast";

type Handler = (next: Next, arg: unknown) => unknown;
type Done = (error: object | null, result: unknown) => unknown;
type Next = (() => unknown) & { callback(done: Done): unknown };
type Activity = (arg: unknown) => unknown;
type Registered = { middleware: Record<string, Handler[] | undefined> };

/**
 * Has graphile-config's middleware, by which each request goes several times, leave nothing behind. There a function is
 * written straight into a property (`next.callback = (…) => …`): V8 takes that for a method, and allocates it among what
 * lives long, where it holds all that it knows, the whole request, until the next major collection. A fifth of what
 * requests allocate was copied twice and kept: test/processes/garbage.test.ts. To be called before the first request.
 */
export function keepMiddlewareYoung(): void {
  Middleware.prototype.run = function run(
    this: Registered,
    name: string,
    arg: unknown,
    activity: Activity,
  ) {
    return runFrom(0, this.middleware[name], arg, activity);
  } as typeof Middleware.prototype.run;
  Middleware.prototype.runSync = function runSync(
    this: Registered,
    name: string,
    arg: unknown,
    activity: Activity,
  ) {
    const result = runFrom(0, this.middleware[name], arg, activity);
    if (isPromiseLike(result)) throw new Error(`Middleware of '${name}' must be synchronous.`);
    return result;
  } as typeof Middleware.prototype.runSync;
}

function runFrom(
  index: number,
  handlers: Handler[] | undefined,
  arg: unknown,
  activity: Activity,
): unknown {
  const handler = handlers?.[index];
  if (handler === undefined) return activity(arg);
  return handler(
    nextOf(() => runFrom(index + 1, handlers, arg, activity)),
    arg,
  );
}

/** As the library has it, but for where `callback` is allocated. */
function nextOf(go: () => unknown): Next {
  let called = false;
  const callback = (done: Done): unknown => {
    if (called) throw new Error("next() was already called; don't call it twice!");
    called = true;
    let result: unknown;
    try {
      result = go();
    } catch (error) {
      return done(error as object, undefined);
    }
    if (!isPromiseLike(result)) return done(null, result);
    return result.then(
      (value) => done(null, value),
      (error) => done(error as object, undefined),
    );
  };
  return Object.assign(go, { callback });
}
