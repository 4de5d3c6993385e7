import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ keptSteps: 10_000 });
});
afterAll(() => api.stop());

const COLUMNS = ["id", "title", "description", "isActive", "createdAt", "updatedAt", "data"];
const ORDERS = ["ID_ASC", "ID_DESC", "CREATED_AT_ASC", "CREATED_AT_DESC"];
let counter = 0;

/** As large as the limits allow, and another one each time. */
function largeOperation(): string {
  const fields = Array.from({ length: 45 }, (_, alias) => {
    counter += 1;
    const columns = COLUMNS.filter((_column, bit) => (counter >> bit) & 1).join(" ") || "id";
    const order = ORDERS[Math.floor(counter / 128) % ORDERS.length];
    return `f${alias}: items(first: 1, orderBy: [${order}], filter: {id: {greaterThan: ${counter}}}) { totalCount nodes { ${columns} } }`;
  });
  return `{ ${fields.join(" ")} }`;
}

async function heapAfter(operations: number): Promise<number> {
  for (let n = 0; n < operations; n += 1) {
    const { errors } = await api.graphql(largeOperation());
    expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  }
  collect();
  return process.memoryUsage().heapUsed / 1e6;
}

it("operations that a client makes up do not fill the heap: what is kept of their plans has a bound", async () => {
  await heapAfter(10);
  const before = await heapAfter(15);
  const after = await heapAfter(60);
  console.log(`${before.toFixed(0)} MB after 25 large operations, ${after.toFixed(0)} MB after 85`);
  expect(after - before).toBeLessThan(100);
}, 120_000);

it("an operation goes on to be answered when its plan has been dropped", async () => {
  const account = await api.signUp();
  const me = () => api.graphql("{ me { id } }", { token: account.token });
  expect((await me()).data.me.id).toBe(account.userId);
  await heapAfter(20);
  expect((await me()).data.me.id).toBe(account.userId);
}, 60_000);
