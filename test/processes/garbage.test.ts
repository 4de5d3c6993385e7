import { afterAll, beforeAll, expect, it } from "vitest";
import { type ApiProcess, startApiProcess } from "../support/api-process.ts";

let own: ApiProcess;
beforeAll(async () => {
  own = await startApiProcess({}, ["--trace-gc"]);
});
afterAll(() => own.close());

async function ask(query: string, token?: string): Promise<{ data: never }> {
  const response = await fetch(`${own.url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as { data: never };
}

const SCAVENGE = /Scavenge ([\d.]+) \([\d.]+\) -> ([\d.]+) \(|(Mark-Compact)/g;

/** Of what so many requests allocate, the share that a collection of the young finds alive. */
async function keptOf(requests: number, request: () => Promise<unknown>): Promise<number> {
  const from = own.api.output().length;
  for (let n = 0; n < requests; n += 1) await request();
  let allocated = 0;
  let kept = 0;
  let before: number | undefined;
  for (const [, full, left, major] of own.api.output().slice(from).matchAll(SCAVENGE)) {
    // Only from one scavenge to the next is the difference what the requests left.
    if (before !== undefined && !major) {
      allocated += Number(full) - before;
      kept += Number(left) - before;
    }
    before = major ? undefined : Number(left);
  }
  expect(allocated).toBeGreaterThan(50);
  return kept / allocated;
}

it("a request leaves nothing alive once it is answered", { timeout: 120_000 }, async () => {
  const { data } = await ask(
    `mutation { signUp(input: {email: "garbage@example.com", password: "correct horse battery", firstName: "G"}) {
      tokens { accessToken }
    } }`,
  );
  const { accessToken } = (data as { signUp: { tokens: { accessToken: string } } }).signUp.tokens;
  const read = () => ask("{ items(first: 5) { nodes { id title } } }", accessToken);
  expect(await read()).toEqual({ data: { items: { nodes: [] } } });
  // V8 compiles, and the first plans are made: that stays.
  for (let n = 0; n < 1500; n += 1) await read();
  const list = await keptOf(1500, read);
  const nothing = await keptOf(2500, () => ask("{ __typename }", accessToken));
  console.log(
    `kept of a list: ${(list * 100).toFixed(1)} %, without the database: ${(nothing * 100).toFixed(1)} %`,
  );
  expect(list).toBeLessThan(0.05);
  expect(nothing).toBeLessThan(0.05);
});
