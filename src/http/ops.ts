import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";
import { listen } from "./listen.ts";

export interface OpsServer {
  port: number;
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
  /** Prometheus text, and its media type. */
  metrics: { contentType: string; text(): Promise<string> };
}): Promise<OpsServer> {
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
    try {
      response.type(options.metrics.contentType).send(await options.metrics.text());
    } catch (error) {
      // Of several processes one does not answer.
      response
        .status(503)
        .type("text")
        .send(`no metrics: ${(error as Error).message}`);
    }
  });

  const server = createServer(app);
  await listen(server, options.port, options.host);
  return {
    port: (server.address() as AddressInfo).port,
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

/** What every process tells of itself. */
export function watchProcess(
  registry: Registry,
  ready: () => Promise<string | undefined> | string | undefined,
): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "howdah_ready",
    help: "1 while /ready is 200; of several processes the least.",
    registers: [registry],
    aggregator: "min",
    async collect() {
      this.set((await ready()) === undefined ? 1 : 0);
    },
  });
}

export function metricsOf(registry: Registry): { contentType: string; text(): Promise<string> } {
  return { contentType: registry.contentType, text: () => registry.metrics() };
}
