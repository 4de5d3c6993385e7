import type { Bench, Figure } from "./support/bench.ts";
import { openEnvironment } from "./support/environment.ts";
import { type Answer, createClient, LOG_IN } from "./support/graphql.ts";
import { median } from "./support/statistics.ts";

/** Of each kind; and before them, of both together, the ones that do not count. */
const SAMPLES = 200;
const WARM_UP = 40;
/** Identifiers of each kind: each is asked about several times, as somebody who guesses would. */
const IDENTIFIERS = 25;

const RESET =
  "mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { clientMutationId } }";

/** Whether the time of an answer tells if an account exists. The worker runs, as it would. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  const emulator = await environment.startEmulator();
  await environment.startWorker(emulator.host);
  const client = createClient((await environment.startApi()).url);
  for (let index = 0; index < IDENTIFIERS; index += 1)
    await client.signUp(`known-${index}@example.com`);

  const questions = {
    "log-in, wrong password": (identifier: string) =>
      client.post(LOG_IN, { input: { identifier, password: "not the password" } }),
    "request of a password reset": (identifier: string) =>
      client.post(RESET, { input: { identifier } }),
  };
  const figures: Figure[] = [];
  for (const [name, ask] of Object.entries(questions)) {
    const { known, unknown } = await askAbout(ask);
    const answers = new Set([...known, ...unknown].map(({ status, body }) => `${status} ${body}`));
    const medians = {
      known: median(known.map(({ milliseconds }) => milliseconds)),
      unknown: median(unknown.map(({ milliseconds }) => milliseconds)),
    };
    figures.push(
      { name: `${name}: known identifier, p50`, value: medians.known, unit: "ms" },
      {
        name: `${name}: unknown, against that`,
        value: medians.unknown,
        unit: "ms",
        ratio: medians.unknown / medians.known,
        target: { atLeast: 0.9, atMost: 1.1 },
      },
      {
        name: `${name}: different answers`,
        value: answers.size,
        unit: "",
        target: { atMost: 1 },
      },
    );
  }
  return figures;
};

/**
 * Interleaved in random order: what a request leaves behind for the worker slows the next one, and
 * that has to meet both kinds alike. In pairs, the two kinds would follow each other too often.
 */
async function askAbout(ask: (identifier: string) => Promise<Answer>) {
  const answers: Record<"known" | "unknown", Answer[]> = { known: [], unknown: [] };
  const order = shuffled(
    Array.from({ length: 2 * SAMPLES }, (_, index) => ({
      kind: index % 2 === 0 ? ("known" as const) : ("unknown" as const),
      number: Math.floor(index / 2) % IDENTIFIERS,
    })),
  );
  for (const [index, { kind, number }] of [...order.slice(0, WARM_UP), ...order].entries()) {
    // Both are of one length.
    const answer = await ask(`${kind === "known" ? "known" : "other"}-${number}@example.com`);
    if (index >= WARM_UP) answers[kind].push(answer);
  }
  return answers;
}

/** Fisher and Yates. */
function shuffled<T>(items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
  return items;
}

export default bench;
