import type { GraphQLSchema } from "graphql";
import type { Pool } from "pg";
import { makeSchema } from "postgraphile";
import { openConnections } from "../database/connections.ts";
import { schemaText } from "../graphql/schema-text.ts";
import { type ApiServer, startApi } from "../http/api-server.ts";
import { runProcess } from "../processes/run.ts";
import { consoleDevelopment } from "../processes/welcome.ts";
import { startWorker } from "../tasks/worker.ts";
import { collect } from "./collect.ts";
import type { PartMessage, PartName } from "./parts.ts";
import { receiveSaves } from "./save-log.ts";

// What `npm run dev` starts anew when code has changed: the API or the worker, told which by its
// argument. Without the process that began it, it ends (node:cluster sees to that).

const starts: Readonly<Record<PartName, () => Promise<void>>> = { api: runApi, worker: runWorker };

/** Faults that another schema would not mend. */
const SYSTEM_FAULT = /^E[A-Z]+$/;

function tell(message: PartMessage): void {
  process.send?.(message);
}

function runApi(): Promise<void> {
  return runProcess("start", async (config, logger) => {
    const connections = await openConnections(config);
    let api: ApiServer;
    try {
      api = await startApi({
        config,
        connections,
        logger,
        development: consoleDevelopment(config, receiveSaves()),
      });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== undefined && SYSTEM_FAULT.test(code)) throw error;
      tell({ fault: message });
      process.exit(1);
    }
    process.on("message", (message) => {
      if (message === "rebuild") {
        void rebuild(api).then((said) => {
          tell(said);
          collect();
        });
      }
    });
    const { url, opsUrl, graphql } = api;
    tell({ url, opsUrl, schema: schemaText(await graphql.grafserv.getSchema()) });
    return { stop: () => api.stop() };
  });
}

function runWorker(): Promise<void> {
  return runProcess("start", async (config, logger) => {
    const connections = await openConnections(config);
    const databaseUrl = connections.ownerUrl as string;
    const worker = await startWorker({ config, databaseUrl, logger });
    tell({ url: worker.opsUrl, opsUrl: worker.opsUrl });
    return { stop: () => worker.stop() };
  });
}

/** Gives the API the schema of the database as it is now; one that cannot be built changes nothing. */
async function rebuild({ url, opsUrl, graphql }: ApiServer): Promise<PartMessage> {
  const { preset, grafserv, pool } = graphql;
  try {
    const { schema, resolvedPreset } = await makeSchema(preset);
    // Before anything is given away: it throws where GraphQL forbids what was built.
    const text = schemaText(schema as GraphQLSchema);
    await grafserv.setPreset(resolvedPreset);
    grafserv.setSchema(schema);
    await retireIdle(pool);
    return { url, opsUrl, schema: text };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}

/** What a connection has prepared may return other types now: "cached plan must not change". */
async function retireIdle(pool: Pool): Promise<void> {
  for (let left = pool.idleCount; left > 0; left -= 1) (await pool.connect()).release(true);
}

await starts[process.argv[2] as PartName]();
