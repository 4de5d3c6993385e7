import { Middleware } from "graphile-config";
import { expect, it } from "vitest";
import { keepMiddlewareYoung } from "../../src/graphql/young-middleware.ts";

interface Activities {
  tell(event: { said: string[] }): string | Promise<string>;
}
type Next = (() => string | Promise<string>) & {
  callback(done: (error: object | null, result: string) => string): string | Promise<string>;
};
type Handler = (next: Next, event: { said: string[] }) => string | Promise<string>;

function run(handlers: Handler[], activity: () => string | Promise<string>, sync = false) {
  const middleware = new Middleware<Activities>();
  for (const handler of handlers) middleware.register("tell", handler as never);
  const event = { said: [] as string[] };
  const result = middleware[sync ? "runSync" : "run"]("tell", event, () => {
    event.said.push("activity");
    return activity();
  });
  return { result, said: event.said };
}

const saying =
  (name: string): Handler =>
  (next, { said }) => {
    said.push(name);
    return next();
  };

const byCallback: Handler = ({ callback }) =>
  callback((error, result) => (error ? `not ${(error as Error).message}` : `so ${result}`));

// What graphile-config does itself, and then what it does by our hand: in a process of this file's own (vitest.config.mts).
for (const whose of ["graphile-config's middleware", "ours in its place"]) {
  it(`${whose} goes from one to the next, and hands over what comes of it`, async () => {
    if (whose.startsWith("ours")) keepMiddlewareYoung();
    expect(run([], () => "it")).toEqual({ result: "it", said: ["activity"] });
    expect(run([saying("one"), saying("two")], () => "it")).toEqual({
      result: "it",
      said: ["one", "two", "activity"],
    });
    const fails = () => {
      throw new Error("well");
    };
    expect(() => run([saying("one")], fails)).toThrow("well");
    expect(run([byCallback], () => "it").result).toBe("so it");
    expect(run([byCallback], fails).result).toBe("not well");
    expect(await run([byCallback], async () => "it").result).toBe("so it");
    expect(await run([byCallback], async () => fails()).result).toBe("not well");
    const twice: Handler = ({ callback }) => {
      callback(() => "");
      return callback(() => "");
    };
    expect(() => run([twice], () => "it")).toThrow("next() was already called");
    expect(() => run([saying("one")], async () => "it", true)).toThrow("synchronous");
  });
}
