import { Counter, Gauge, type Registry } from "prom-client";
import type { Replica } from "../database/replica.ts";

/** What becomes of reads where there is a replica. */
export function createReplicaMetrics(registry: Registry): {
  counted: Replica["counted"];
  watch(replica: Replica): void;
} {
  const registers = [registry];
  const reads = new Counter({
    name: "howdah_reads_total",
    help: "Statements that might be read from the replica, by where they were: replica, primary.",
    labelNames: ["from"],
    registers,
  });
  let watched: Replica | undefined;
  new Gauge({
    name: "howdah_replica_lag_seconds",
    help: "What the replica shows is at most so old; absent while it does not answer. Of several processes the most.",
    registers,
    aggregator: "max",
    collect() {
      const lag = watched?.lag();
      // reset() would say 0.
      if (lag === undefined) this.remove();
      else this.set(lag);
    },
  });
  return {
    counted: (from) => reads.inc({ from }),
    watch: (replica) => {
      watched = replica;
    },
  };
}
