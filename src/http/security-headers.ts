import type { IncomingMessage, ServerResponse } from "node:http";
import helmet from "helmet";
import type { Step } from "./step.ts";

/** helmet's headers, which are the same for every answer: they are asked for once. */
export function securityHeaders(graphiql: boolean): Step {
  const headers = new Map<string, string>();
  const recorder = {
    setHeader: (name: string, value: string) => headers.set(name, value),
    // X-Powered-By, which the app does not send.
    removeHeader: () => {},
  };
  helmet(graphiql ? { contentSecurityPolicy: false } : {})(
    {} as IncomingMessage,
    recorder as unknown as ServerResponse,
    (error?: unknown) => {
      if (error) throw error;
    },
  );
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}
