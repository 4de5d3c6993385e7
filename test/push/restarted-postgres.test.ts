import { rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { startWorker } from "../../src/tasks/worker.ts";
import { folder, useClusters } from "../support/clusters.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { until } from "../support/until.ts";

useClusters();
const logger = pino({ level: "silent" });
let emulator: FcmEmulator;
let dataDirectory: string;
let cluster: EmbeddedCluster;

beforeAll(async () => {
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  dataDirectory = await folder();
  cluster = await startEmbeddedCluster({ dataDirectory });
});
afterAll(async () => {
  await cluster.stop();
  await emulator.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

it("PostgreSQL restarted in mid-send: nothing lost, nothing sent twice", {
  timeout: 90_000,
}, async () => {
  await ensureOwner(cluster.superuserUrl(), TEST_PASSWORD);
  const databaseUrl = withUser(cluster.superuserUrl("howdah"), "howdah_owner", TEST_PASSWORD);
  await migrateDatabase({ databaseUrl, authenticatorPassword: TEST_PASSWORD, logger });
  const worker = await startWorker({
    config: loadConfig("worker", {
      WORKER_OPS_PORT: "0",
      FCM_EMULATOR_HOST: emulator.host,
      DATA_DIR: join(dataDirectory, "worker"),
    }),
    databaseUrl,
    logger,
  });
  const pool = new pg.Pool({ connectionString: databaseUrl });
  pool.on("error", () => {
    // The restart ends idle connections.
  });
  emulator.faults.add({ match: "phone", respond: "ACCEPT", delay: 20 });
  const { rows } = await pool.query(
    `with person as (insert into app_public.users (first_name) values ('P') returning id)
     insert into app_public.device_tokens (user_id, token, device_type)
     select p.id, 'phone-' || n, 'web' from person p, generate_series(1, 3000) n returning user_id`,
  );
  const { rows: sent } = await pool.query("select id from app_private.notify($1, 'e', 'm')", [
    [rows[0].user_id],
  ]);
  await emulator.phones.nextMessage("phone-1", 10_000);
  await cluster.stop();
  cluster = await startEmbeddedCluster({ dataDirectory });

  const status = async () =>
    (await pool.query("select status from app_public.notifications where id = $1", [sent[0].id]))
      .rows[0].status;
  expect(await until(status, (found) => found !== "sending", 60_000)).toBe("sent");
  for (let n = 1; n <= 3000; n += 1) {
    expect(emulator.phones.messages(`phone-${n}`)).toHaveLength(1);
  }
  await pool.end();
  await worker.stop();
});
