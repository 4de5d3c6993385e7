/** So many pieces of text. */
export const times = (count: number, text: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => text(n)).join(" ");
/** Names that no cache has seen. */
const fresh = () => Math.random().toString(36).slice(2, 8);

export interface Bomb {
  query: string;
  variables?: Record<string, unknown>;
}

const list = (length: number, entry: unknown) => Array.from({ length }, () => entry);

/** What must be refused, each with the limit that it says. */
const DOCUMENTS: [string, () => string, RegExp][] = [
  [
    "1,000 aliases",
    () => `{ ${times(1000, (n) => `x${fresh()}${n}: items(first: 1) { nodes { id } }`)} }`,
    /tokens|aliases/,
  ],
  ["51 aliases", () => `{ ${times(51, (n) => `x${fresh()}${n}: __typename`)} }`, /50 aliases/],
  [
    "aliases by fragments that spread fragments",
    () =>
      `{ ${times(10, (n) => `...F${n}`)} } ${times(
        10,
        (n) => `fragment F${n} on Query { ${times(10, (m) => `a${n}${m}: __typename`)} }`,
      )}`,
    /50 aliases/,
  ],
  [
    "exponential fragments",
    () =>
      `{ ...F0 } ${times(40, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)} fragment F40 on Query { __typename }`,
    /500 fields/,
  ],
  ["5,000 directives", () => `{ __typename ${times(5000, () => "@include(if: true)")} }`, /tokens/],
  [
    "51 directives",
    () => `{ __typename ${times(51, () => "@include(if: true)")} }`,
    /50 directives/,
  ],
  [
    "depth 40",
    () => `{ me { ${times(20, () => "items { nodes { user {")} id ${times(20, () => "} } }")} } }`,
    /20 levels of fields/,
  ],
  ["100 kB of tokens", () => `{ ${times(24_000, () => "id")} }`, /4,000 tokens/],
  [
    "101 fragments",
    () => `{ __typename } ${times(101, (n) => `fragment F${n} on Query { __typename }`)}`,
    /100 fragments/,
  ],
  [
    "the schema, 300 times by aliases",
    () => `{ __schema { ${times(300, (n) => `x${fresh()}${n}: types { fields { name } }`)} } }`,
    /3 __schema and __type/,
  ],
  [
    "types of types, by a fragment",
    () =>
      `{ __schema { types { ...F } } } fragment F on __Type { ${times(
        3,
        (n) => `x${fresh()}${n}: fields { type { fields { type { name } } } }`,
      )} }`,
    /3 __schema and __type/,
  ],
  [
    "pages of pages of pages",
    () =>
      "{ users(first: 100) { nodes { items(first: 100) { nodes { user { items(first: 2) { nodes { id } } } } } } } }",
    /12,000 rows/,
  ],
  [
    "pages by default",
    () =>
      "{ users { edges { node { items { nodes { user { items { nodes { user { items { nodes { id } } } } } } } } } } } }",
    /12,000 rows/,
  ],
  [
    "pages by the default of a variable",
    () =>
      "query ($n: Int = 100) { users(first: $n) { nodes { items(first: $n) { nodes { user { items(first: $n) { nodes { id } } } } } } } }",
    /12,000 rows/,
  ],
  [
    "the default of a variable for 50 aliases",
    () =>
      `query ($f: [ItemFilter!] = [${times(300, () => "{id: {isNull: true}}")}]) { ${times(50, (n) => `x${fresh()}${n}: items(filter: {or: $f}, first: 1) { nodes { id } }`)} }`,
    /20,000 values/,
  ],
  [
    "one filter in a fragment for many places",
    () =>
      `{ me { ...P sessions { nodes { user { ...P } } } items { nodes { user { ...P } } } deviceTokens { nodes { user { ...P } } } } } fragment P on User { items(filter: {or: [${times(400, () => "{id: {isNull: true}}")}]}, first: 1) { nodes { id } } }`,
    /20,000 values/,
  ],
  [
    "pages that fragments hide",
    () =>
      "{ users(first: 100) { ...P } } fragment P on UsersConnection { nodes { items(first: 100) { ...Q } sessions(first: 100) { nodes { id } } } } fragment Q on ItemsConnection { nodes { id } }",
    /12,000 rows/,
  ],
];

/** The same by variables, which many places use. */
const VARIABLES: [string, () => Bomb, RegExp][] = [
  [
    "one filter in a variable for 50 aliases",
    () => ({
      query: `query ($f: [ItemFilter!]) { ${times(50, (n) => `x${fresh()}${n}: items(filter: {or: $f, and: $f}, first: 1) { nodes { id } }`)} }`,
      variables: { f: list(4000, { id: { isNull: true } }) },
    }),
    /20,000 values/,
  ],
  [
    "a filter of 9,500 parts",
    () => ({
      query: `query ($f: [ItemFilter!]) { x${fresh()}: items(filter: {or: $f}, first: 1) { nodes { id } } }`,
      variables: { f: list(9500, { id: {} }) },
    }),
    /20,000 values/,
  ],
  [
    "orders in a variable for 50 aliases",
    () => ({
      query: `query ($o: [ItemsOrderBy!]) { ${times(50, (n) => `x${fresh()}${n}: items(orderBy: $o, first: 1) { nodes { id } }`)} }`,
      variables: { o: list(8000, "ID_ASC") },
    }),
    /20,000 values/,
  ],
  [
    "a variable in fragments that spread fragments",
    () => ({
      query: `query ($f: [ItemFilter!]) { ...F0 } ${times(8, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)} fragment F8 on Query { items(filter: {or: $f}, first: 1) { nodes { id } } }`,
      variables: { f: list(100, { id: { isNull: true } }) },
    }),
    /500 fields|20,000 values/,
  ],
];

export const BOMBS: [string, () => Bomb, RegExp][] = [
  ...DOCUMENTS.map(([name, query, message]): (typeof VARIABLES)[number] => [
    name,
    () => ({ query: query() }),
    message,
  ]),
  ...VARIABLES,
];
