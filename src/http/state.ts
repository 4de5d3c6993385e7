import { AggregatorRegistry, type Registry } from "prom-client";
import type { ApiOptions } from "./api-server.ts";
import { metricsOf, serveOps, watchProcess } from "./ops.ts";

/** How long a change of state may stay untold to the process that asks for it, milliseconds. */
const STATE_INTERVAL = 500;

/** What is missing to serve; it changes as the process starts. */
export interface ApiState {
  missing: () => Promise<string | undefined> | string | undefined;
}

/** By the ops port, or to the process that speaks for all of them (API_PROCESSES). */
export async function serveState(
  { config, onReady }: ApiOptions,
  registry: Registry,
  state: ApiState,
  stack: AsyncDisposableStack,
): Promise<{ port: number; begin(): Promise<void>; drain(): void }> {
  watchProcess(registry, () => state.missing());
  if (!onReady) {
    const ops = await serveOps({
      host: config.api.host,
      port: config.api.opsPort,
      ready: () => state.missing(),
      metrics: metricsOf(registry),
    });
    stack.defer(() => ops.close());
    return { port: ops.port, begin: async () => {}, drain: () => ops.drain() };
  }
  AggregatorRegistry.setRegistries([registry]);
  // It answers when the other process collects.
  new AggregatorRegistry();
  let told: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  stack.defer(() => {
    stopped = true;
    clearTimeout(timer);
  });
  async function tell(): Promise<void> {
    const now = await state.missing();
    if (stopped) return;
    if (now !== told) onReady?.(now);
    told = now;
    timer = setTimeout(tell, STATE_INTERVAL);
  }
  return { port: config.api.opsPort, begin: tell, drain: () => {} };
}
