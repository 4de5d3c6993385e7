import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from "graphql";

/** The same numbers for the same seed, from 0 to 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const INTS = [0, 1, 2, 7, 100, -1, 2147483647, -2147483648];
const STRINGS = [
  "",
  "a",
  "x".repeat(300),
  "ä😀",
  "%_\\\\",
  "' or 1=1 --",
  "[1,2]",
  "{}",
  "null",
  "WyJpdGVtcyIsMV0=",
];
const SCALARS: Readonly<Record<string, (pick: <T>(from: readonly T[]) => T) => string>> = {
  Int: (pick) => String(pick(INTS)),
  Float: (pick) => pick(["0", "1.5", "-1e10"]),
  Boolean: (pick) => pick(["true", "false"]),
  BigInt: (pick) => pick(['"0"', '"9223372036854775807"', '"1"']),
  Datetime: (pick) => pick(['"2026-01-01T00:00:00Z"', '"1970-01-01"', '"infinity"']),
  Date: (pick) => pick(['"2026-01-01"', '"0001-01-01"']),
  Time: (pick) => pick(['"22:00"', '"00:00:00"']),
  UUID: (pick) => pick(['"00000000-0000-0000-0000-000000000000"']),
  JSON: (pick) => pick(["{}", "[1]", '"x"', "null"]),
};

/** Operations that are valid by the schema, whatever they mean: always another, the same for a seed. */
export function randomOperations(
  schema: GraphQLSchema,
  seed: number,
): { next(kind: "query" | "mutation"): string } {
  const random = randomNumbers(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const chance = (share: number) => random() < share;

  function value(type: GraphQLInputType, depth: number): string {
    if (isNonNullType(type)) return value(type.ofType, depth);
    if (isListType(type)) {
      return `[${Array.from({ length: Math.floor(random() * 3) }, () => value(type.ofType, depth + 1)).join(", ")}]`;
    }
    if (isEnumType(type)) return pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const given = fields.filter(
        (field) => isNonNullType(field.type) || (depth < 3 && chance(2 / fields.length)),
      );
      return `{${given.map((field) => argument(field, depth)).join(", ")}}`;
    }
    const scalar = SCALARS[type.name];
    return scalar ? scalar(pick) : JSON.stringify(pick(STRINGS));
  }

  function argument(arg: GraphQLArgument | GraphQLInputField, depth: number): string {
    return `${arg.name}: ${value(arg.type, depth + 1)}`;
  }

  function selection(type: GraphQLObjectType, depth: number): string {
    const fields = Object.values(type.getFields()).filter(
      (one) => depth < 6 || !isObjectType(getNamedType(one.type)),
    );
    const chosen = fields.filter(() => chance(Math.min(1, 3 / fields.length)));
    const parts = (chosen.length > 0 ? chosen : fields.slice(0, 1)).map((one) => field(one, depth));
    return `{ ${["__typename", ...parts].join(" ")} }`;
  }

  function field(one: GraphQLField<unknown, unknown>, depth: number): string {
    const given = one.args.filter(({ type }) => isNonNullType(type) || chance(0.3));
    const args = given.length > 0 ? `(${given.map((arg) => argument(arg, 0)).join(", ")})` : "";
    const named = getNamedType(one.type);
    if (isObjectType(named)) return `${one.name}${args} ${selection(named, depth + 1)}`;
    if (isAbstractType(named)) return `${one.name}${args} { __typename }`;
    return `${one.name}${args}`;
  }

  return {
    next(kind) {
      const root = (
        kind === "query" ? schema.getQueryType() : schema.getMutationType()
      ) as GraphQLObjectType;
      return `${kind} { ${field(pick(Object.values(root.getFields())), 0)} }`;
    },
  };
}
