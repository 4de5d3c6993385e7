import { setTimeout as delay } from "node:timers/promises";
import type { Figure } from "./bench.ts";
import type { Client } from "./graphql.ts";
import { median, quantile } from "./statistics.ts";

const QUERY = "{ items(first: 5) { nodes { id title } } }";

/** Somebody whose list has five items. */
export async function createBystander(client: Client): Promise<string> {
  const token = await client.signUp("bystander@example.com");
  for (const title of ["one", "two", "three", "four", "five"]) {
    await client.call(
      "mutation ($input: CreateItemInput!) { createItem(input: $input) { item { id } } }",
      { input: { item: { title } } },
      token,
    );
  }
  return token;
}

/**
 * Reads that list every `interval` milliseconds, whether the answer before has come or not, until
 * `during` is over: how long each answer took, milliseconds.
 */
export async function watchReads(
  client: Client,
  token: string,
  interval: number,
  during: Promise<unknown>,
): Promise<number[]> {
  const answers: Promise<number>[] = [];
  let isOver = false;
  const over = during.finally(() => {
    isOver = true;
  });
  // This and the answers are awaited below, and must not count as unhandled until then.
  over.catch(() => {});
  while (!isOver) {
    const answer = read(client, token);
    answer.catch(() => {});
    answers.push(answer);
    await delay(interval);
  }
  await over;
  return Promise.all(answers);
}

/** Such reads of one round: idle and meanwhile. */
export interface Watched {
  idle: number[];
  meanwhile: number[];
}

/** p50 and p99 of such reads, the median of the rounds. */
export function compareReads(rounds: Watched[], p99AtMost?: number): Figure[] {
  return [0.5, 0.99].flatMap((share) => {
    const of = (figure: (idle: number, meanwhile: number) => number) =>
      median(
        rounds.map(({ idle, meanwhile }) =>
          figure(quantile(idle, share), quantile(meanwhile, share)),
        ),
      );
    const target = share === 0.99 && p99AtMost !== undefined ? { atMost: p99AtMost } : undefined;
    return [
      { name: `a bystander's read, p${share * 100}, idle`, value: of((idle) => idle), unit: "ms" },
      {
        name: "the same meanwhile",
        value: of((_idle, meanwhile) => meanwhile),
        unit: "ms",
        ratio: of((idle, meanwhile) => meanwhile / idle),
        ...(target ? { target } : {}),
      },
    ];
  });
}

async function read(client: Client, token: string): Promise<number> {
  const { status, milliseconds } = await client.post(QUERY, {}, token);
  if (status !== 200) throw new Error(`The bystander got status ${status}.`);
  return milliseconds;
}
