import { createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Bench, Figure } from "./support/bench.ts";
import { openEnvironment } from "./support/environment.ts";
import { createClient } from "./support/graphql.ts";
import { median } from "./support/statistics.ts";
import { requestsPerSecond, requireWrk } from "./support/wrk.ts";

const USERS = 20;
const ITEMS = 200;
/** Many and short, in turns: a shared machine is faster one moment than the next. */
const ROUNDS = 12;
/** Seconds of a round, and before the first one that counts: V8 goes on compiling for that long. */
const ROUND = 1;
const WARM_UP = 10;

/** The same request to the three servers. */
interface Operation {
  name: string;
  path: string;
  handWritten: object;
  graphile4: (userId: number) => string;
  howdah: string;
  variables?: object;
  atLeast?: number;
  atLeastGraphile4?: number;
}

const OPERATIONS: Operation[] = [
  {
    name: "small read",
    path: "/small",
    handWritten: {},
    graphile4: (id) => `{ userById(id: ${id}) { id email } }`,
    howdah: "{ me { id email } }",
  },
  {
    name: "nested read",
    path: "/nested",
    handWritten: {},
    graphile4: (id) =>
      `{ userById(id: ${id}) { email itemsByUserId(first: 20) { nodes { title data } } } }`,
    howdah: "{ me { email items(first: 20) { nodes { title data } } } }",
    atLeast: 0.7,
    atLeastGraphile4: 1.3,
  },
  {
    name: "connection with filter and count",
    path: "/connection",
    handWritten: { like: "Item 1%" },
    // PostGraphile 4 filters by equality alone.
    graphile4: () =>
      '{ allItems(first: 10, condition: { title: "Item 1" }) { totalCount nodes { id title } } }',
    howdah:
      "query ($like: String) { items(first: 10, filter: {title: {like: $like}}) { totalCount nodes { id title } } }",
    variables: { like: "Item 1%" },
  },
  {
    name: "create",
    path: "/create",
    handWritten: { title: "Created" },
    graphile4: () =>
      'mutation { createItem(input: { item: { title: "Created" } }) { item { id title } } }',
    howdah:
      "mutation ($title: String!) { createItem(input: {item: {title: $title}}) { item { id title } } }",
    variables: { title: "Created" },
    atLeast: 0.7,
  },
];

/** Requests of one process against the same by hand and by PostGraphile 4, in turns. */
const bench: Bench = async (options) => {
  await requireTools();
  const environment = await openEnvironment(options);
  const { owner, dataDirectory, authenticatorUrl } = environment;
  const api = await environment.startApi();
  const client = createClient(api.url);
  const tokens: string[] = [];
  for (let n = 0; n < USERS; n += 1) tokens.push(await client.signUp(`reader-${n}@example.com`));
  await owner.query(
    `insert into app_public.items (user_id, title, data)
     select u.id, 'Item ' || n, jsonb_build_object('n', n, 'tags', array['a', 'b'])
     from app_public.users u, generate_series(1, $1::int) n`,
    [ITEMS],
  );
  await owner.query("vacuum analyze app_public.items");
  const token = tokens[0] as string;
  const { me } = await client.call<{ me: { id: number } }>("{ me { id } }", {}, token);
  const pem = createPublicKey(
    createPrivateKey(await readFile(join(dataDirectory, "secrets/jwt-private-key.pem"), "utf8")),
  )
    .export({ type: "spki", format: "pem" })
    .toString();

  const handWritten = await environment.startProgram("bench/support/hand-written.ts", [
    authenticatorUrl,
    pem,
  ]);
  const graphile4 = await environment.startProgram("bench/support/postgraphile-4.cjs", [
    authenticatorUrl,
    pem,
    0,
  ]);
  const two = await environment.startApi({ API_PROCESSES: "2" });

  const figures: Figure[] = [];
  for (const operation of OPERATIONS) {
    const { howdah: query, variables = {} } = operation;
    const servers = {
      handWritten: { url: `${handWritten.url}${operation.path}`, body: operation.handWritten },
      graphile4: { url: graphile4.url, body: { query: operation.graphile4(me.id) } },
      one: { url: `${api.url}/graphql`, body: { query, variables } },
      two: { url: `${two.url}/graphql`, body: { query, variables } },
    };
    const measured: Record<string, number[]> = {};
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [name, { url, body }] of Object.entries(servers)) {
        const perSecond = await requestsPerSecond(
          { url, body, token },
          round === 0 ? WARM_UP : ROUND,
        );
        if (round > 0) measured[name] = [...(measured[name] ?? []), perSecond];
      }
      // What was created is not to make the next round slower.
      await owner.query("delete from app_public.items where title = 'Created'");
    }
    const of = (name: string) => median(measured[name] as number[]);
    const ratio = (name: string) =>
      median(
        (measured.one as number[]).map(
          (value, round) => value / (measured[name]?.[round] as number),
        ),
      );
    const { name, atLeast, atLeastGraphile4 } = operation;
    figures.push(
      { name: `${name}: by hand`, value: of("handWritten"), unit: "/s" },
      { name: `${name}: PostGraphile 4.14`, value: of("graphile4"), unit: "/s" },
      {
        name: `${name}: Howdah, against by hand`,
        value: of("one"),
        unit: "/s",
        ratio: ratio("handWritten"),
        ...(atLeast === undefined ? {} : { target: { atLeast } }),
      },
      {
        name: `${name}: Howdah, against PostGraphile 4.14`,
        value: of("one"),
        unit: "/s",
        ratio: ratio("graphile4"),
        ...(atLeastGraphile4 === undefined ? {} : { target: { atLeast: atLeastGraphile4 } }),
      },
      {
        name: `${name}: Howdah, two processes`,
        value: of("two"),
        unit: "/s",
        ratio: of("two") / of("one"),
      },
    );
  }
  return figures;
};

/** Says what is missing before anything is started. */
async function requireTools(): Promise<void> {
  await requireWrk();
  if (!existsSync(resolve("bench/node_modules/postgraphile"))) {
    throw new Error("This bench compares with PostGraphile 4: npm ci --prefix bench");
  }
}

export default bench;
