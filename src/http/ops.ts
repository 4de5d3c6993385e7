import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { collectDefaultMetrics, Registry } from "prom-client";
import { listen } from "./listen.ts";

export interface OpsServer {
  port: number;
  registry: Registry;
  /** From now on /ready is 503: the process is going away. */
  drain(): void;
  close(): Promise<void>;
}

/**
 * `/live`, `/ready` and `/metrics` on a port of their own. `ready` says what is missing; it must
 * not wait for the API's pool.
 */
export async function serveOps(options: {
  host: string;
  port: number;
  ready: () => Promise<string | undefined> | string | undefined;
  /** Prometheus text, where it is not this process's own. */
  metrics?: () => Promise<string>;
}): Promise<OpsServer> {
  const registry = new Registry();
  if (!options.metrics) collectDefaultMetrics({ register: registry });
  let draining = false;

  const app = express();
  app.disable("x-powered-by");
  app.get("/live", (_request, response) => {
    response.type("text").send("ok");
  });
  app.get("/ready", async (_request, response) => {
    const missing = draining ? "shutting down" : await options.ready();
    response
      .status(missing ? 503 : 200)
      .type("text")
      .send(missing ?? "ok");
  });
  app.get("/metrics", async (_request, response) => {
    response.type(registry.contentType).send(await (options.metrics?.() ?? registry.metrics()));
  });

  const server = createServer(app);
  await listen(server, options.port, options.host);
  return {
    port: (server.address() as AddressInfo).port,
    registry,
    drain: () => {
      draining = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
