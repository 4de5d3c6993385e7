import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { quantile } from "../../bench/support/statistics.ts";
import { type ApiProcess, startApiProcess } from "../support/api-process.ts";
import { BOMBS, type Bomb } from "../support/bombs.ts";

/** Milliseconds: what a refusal may take, and what nine in ten… of a bystander's answers (p99). */
const REFUSAL_TIME = 100;
const BYSTANDER_P99 = 100;
/** A machine with other work stands still for moments; what is slow by itself is slow each time. */
const ATTEMPTS = 12;

let own: ApiProcess;
beforeAll(async () => {
  own = await startApiProcess();
});
afterAll(() => own.close());

/** How long an answer took, milliseconds. */
async function ask(bomb: Bomb): Promise<{ status: number; took: number }> {
  const began = performance.now();
  const response = await fetch(`${own.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(bomb),
  });
  await response.arrayBuffer();
  return { status: response.status, took: performance.now() - began };
}

/** A bomb after the other for a while, and somebody who asks little meanwhile. */
async function meanwhile(bomb: () => Bomb) {
  const refusals: { status: number; took: number }[] = [];
  const bystander: number[] = [];
  let isOver = false;
  async function watch() {
    while (!isOver) {
      bystander.push((await ask({ query: "{ __typename }" })).took);
      await delay(5);
    }
  }
  const watching = watch();
  for (let n = 0; n < 20; n += 1) refusals.push(await ask(bomb()));
  isOver = true;
  await watching;
  return {
    statuses: [...new Set(refusals.map(({ status }) => status))],
    refusal: quantile(
      refusals.map(({ took }) => took),
      0.5,
    ),
    bystander: quantile(bystander, 0.99),
  };
}

describe("what is too large is refused in under 100 ms, and nobody else waits for it", () => {
  it.each(BOMBS)("%s", async (_name, bomb) => {
    await meanwhile(bomb);
    for (let attempt = 1; ; attempt += 1) {
      const { statuses, refusal, bystander } = await meanwhile(bomb);
      expect(statuses).toEqual([400]);
      if (refusal < REFUSAL_TIME && bystander < BYSTANDER_P99) break;
      if (attempt === ATTEMPTS) {
        expect({ refusal, bystander }).toEqual({ refusal: "< 100 ms", bystander: "< 100 ms" });
      }
    }
  });
});
