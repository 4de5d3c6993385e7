import { LRUCache } from "lru-cache";
import {
  type DocumentNode,
  GraphQLError,
  type OperationDefinitionNode,
  parse,
  type TypeNode,
} from "postgraphile/graphql";
import { ApiError } from "../errors.ts";
import {
  countLiteral,
  FILTER_WEIGHT,
  type MeasuredDocument,
  measureDocument,
  type Size,
} from "./document-size.ts";

/** What one request may ask for: see measureDocument(). */
export const LIMITS = {
  /** Lexical tokens of the document. */
  tokens: 4000,
  /** Fields within fields. */
  depth: 20,
  /** Fields in all. */
  fields: 500,
  /** Fields that are given another name: each may be planned and fetched anew. */
  aliases: 50,
  directives: 50,
  fragments: 100,
  /** `__schema` and `__type`, and aliases within. */
  introspections: 3,
  /** What may come back at most: pages (`first`, `last`) of pages. */
  rows: 12_000,
  /** Entries of lists and objects; those in variables once for each place that uses the variable. */
  values: 20_000,
} as const;

/** What measureDocument() counts of an operation. */
const MEASURED = ["depth", "fields", "aliases", "directives", "introspections", "rows"] as const;

/** Documents whose size does not depend on page sizes in variables. */
const REMEMBERED_DOCUMENTS = 1000;

export interface GraphQLBody {
  query?: unknown;
  operationName?: unknown;
  variableValues?: unknown;
}

/**
 * Refuses what would cost too much before it is validated and planned: the work to find that out
 * grows with the length of the document and of the variables alone.
 * @returns a check that throws TOO_COMPLEX, or BAD_USER_INPUT for fragments that spread each other; it
 *   gives the operations that may be run
 */
export function createLimitCheck(): (body: GraphQLBody) => OperationDefinitionNode[] {
  const passed = new LRUCache<string, MeasuredDocument>({ max: REMEMBERED_DOCUMENTS });

  return ({ query, operationName, variableValues }) => {
    if (typeof query !== "string") return [];
    const variables = (variableValues ?? {}) as Record<string, unknown>;
    let measured = passed.get(query);
    if (!measured) {
      const document = parseBounded(query);
      if (!document) return [];
      measured = measureDocument(document, variables);
      checkSize(measured);
      if (measured.fixed) passed.set(query, measured);
    }
    // All of them where the name leaves it open, so that no name lets a large one through.
    const named = measured.operations.filter(({ node }) => node.name?.value === operationName);
    const operations = typeof operationName === "string" ? named : measured.operations;
    for (const { node, size } of operations) checkValues(node, size, variables);
    return operations.map(({ node }) => node);
  };
}

/** Undefined where it is no GraphQL: whoever parses it again says why. */
function parseBounded(query: string): DocumentNode | undefined {
  try {
    return parse(query, { maxTokens: LIMITS.tokens, noLocation: true });
  } catch (error) {
    if (error instanceof GraphQLError && error.message.includes("tokens")) {
      throw tooComplex("tokens");
    }
    return undefined;
  }
}

function checkSize({ fragments, operations }: MeasuredDocument): void {
  if (fragments > LIMITS.fragments) throw tooComplex("fragments", fragments);
  for (const { size } of operations) {
    for (const limit of MEASURED) {
      if (size[limit] > LIMITS[limit]) throw tooComplex(limit, size[limit]);
    }
  }
}

function checkValues(
  { variableDefinitions = [] }: OperationDefinitionNode,
  size: Pick<Size, "uses" | "values">,
  variables: Record<string, unknown>,
): void {
  let { values } = size;
  for (const { variable, type, defaultValue } of variableDefinitions) {
    const name = variable.name.value;
    const value = variables[name];
    const weight = namedType(type).endsWith("Filter") ? FILTER_WEIGHT : 1;
    const uses = size.uses.get(name) ?? 0;
    if (value === undefined && defaultValue) values += countLiteral(defaultValue, weight) * uses;
    else if (typeof value === "object" && value !== null) {
      values += countEntries(value) * weight * uses;
    }
  }
  if (values > LIMITS.values) throw tooComplex("values", values);
}

/** Of a variable's type, without lists and exclamation marks. */
export function namedType(type: TypeNode): string {
  return "name" in type ? type.name.value : namedType(type.type);
}

/** Of a value that has been found to be of bounded depth. */
function countEntries(value: object): number {
  let count = 0;
  for (const entry of Object.values(value)) {
    count += 1;
    if (typeof entry === "object" && entry !== null) count += countEntries(entry);
  }
  return count;
}

const WORDS: Readonly<Record<keyof typeof LIMITS, string>> = {
  tokens: "tokens",
  depth: "levels of fields",
  fields: "fields",
  aliases: "aliases",
  directives: "directives",
  fragments: "fragments",
  introspections: "__schema and __type, with the aliases in them",
  rows: "rows, by the sizes of its pages within pages",
  values:
    "values in its lists and objects, counted wherever they are used, ten for each part of a filter",
};

/** Of pages within pages within pages there are soon more than a number can hold. */
const MOST_TOLD = 1_000_000_000;

function tooComplex(limit: keyof typeof LIMITS, asked?: number): ApiError {
  const most = LIMITS[limit].toLocaleString("en");
  const more = asked === undefined || asked > MOST_TOLD ? "more" : asked.toLocaleString("en");
  return new ApiError(
    "TOO_COMPLEX",
    `A request may have ${most} ${WORDS[limit]}; this one has ${more}.`,
    { hint: "Ask for less at a time." },
  );
}
