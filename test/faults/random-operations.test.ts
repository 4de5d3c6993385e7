import { buildClientSchema, getIntrospectionQuery, parse, validate } from "graphql";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { randomOperations } from "../support/random-operations.ts";

const SEED = Number(process.env.SEED ?? 1);
/** OPERATIONS=2000 is what has to hold. */
const OPERATIONS = Number(process.env.OPERATIONS ?? 1000);
const ANSWER_TIME = 1000;

let api: TestApi;
/** What the log says of internal errors. */
const reasons = new Set<string>();
beforeAll(async () => {
  const logger = pino({
    hooks: {
      logMethod([first]) {
        const { error } = first as { error?: Error };
        if (error) reasons.add(String(error));
      },
    },
  });
  api = await startTestApi({ logger });
});
afterAll(() => api.stop());

describe(`${OPERATIONS} random valid operations`, () => {
  it(`find no INTERNAL, no 5xx, nothing over 1 s (SEED=${SEED})`, {
    timeout: 180_000,
  }, async () => {
    const { data } = await api.graphql(getIntrospectionQuery());
    const schema = buildClientSchema(data);
    const { next } = randomOperations(schema, SEED);
    const ann = await api.signUp();
    const operator = await api.signUpOperator();
    await api.database.owner.query(
      "insert into app_public.items (user_id, title, data) select $1, 'item ' || n, '{}' from generate_series(1, 200) n",
      [ann.userId],
    );
    await api.database.owner.query("select app_private.notify($1, 'test.event', 'Hello')", [
      [ann.userId, operator.userId],
    ]);
    // Who changes things may end their own session: those are asked as somebody who is no more needed.
    const victim = await api.signUp();
    const found: string[] = [];
    let answered = 0;
    for (let n = 0; n < OPERATIONS; n += 1) {
      const kind = n % 5 === 4 ? "mutation" : "query";
      const query = next(kind);
      expect(validate(schema, parse(query))).toEqual([]);
      const token =
        kind === "mutation" ? victim.token : [ann.token, operator.token, undefined][n % 3];
      // Once more where it was slow: a machine may stand still, a query that is slow stays so.
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const began = performance.now();
        const { status, errors, data: answer } = await api.graphql(query, { token });
        const took = performance.now() - began;
        if (errors.length === 0 && answer) answered += 1;
        const codes = errors.map(({ extensions }) => extensions.code);
        if (status >= 500 || codes.includes("INTERNAL") || codes.includes(undefined as never)) {
          found.push(`${status} ${codes}: ${query}`);
        }
        if (took < ANSWER_TIME) break;
        if (attempt === 3) found.push(`${Math.round(took)} ms: ${query}`);
      }
    }
    expect({ found, reasons: [...reasons] }).toEqual({ found: [], reasons: [] });
    // Most are refused for a value of theirs; the rest has to run to its end, or this proves nothing.
    expect(answered).toBeGreaterThan(OPERATIONS / 8);
  });
});
