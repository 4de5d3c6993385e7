import type { Bench, Figure } from "./support/bench.ts";
import { openEnvironment } from "./support/environment.ts";
import { type Answer, createClient, LOG_IN } from "./support/graphql.ts";
import { median } from "./support/statistics.ts";

/** Of each kind, and before them the ones that do not count. */
const SAMPLES = 200;
const WARM_UP = 20;
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

/** Interleaved in random order, so that what one request leaves behind meets both kinds alike. */
async function askAbout(ask: (identifier: string) => Promise<Answer>) {
  const answers: Record<"known" | "unknown", Answer[]> = { known: [], unknown: [] };
  for (let sample = -WARM_UP; sample < SAMPLES; sample += 1) {
    const kinds =
      Math.random() < 0.5 ? (["known", "unknown"] as const) : (["unknown", "known"] as const);
    for (const kind of kinds) {
      const number = (sample + WARM_UP) % IDENTIFIERS;
      // As long as the known ones.
      const identifier = kind === "known" ? `known-${number}` : `other-${number}`;
      const answer = await ask(`${identifier}@example.com`);
      if (sample >= 0) answers[kind].push(answer);
    }
  }
  return answers;
}

export default bench;
