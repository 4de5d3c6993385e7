import { LRUCache } from "lru-cache";
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  parse,
  type SelectionSetNode,
} from "postgraphile/graphql";
import { ApiError } from "../errors.ts";
import { DEFAULT_PAGE, MAX_PAGE } from "./page-size-plugin.ts";

/**
 * What one request may ask for. Fragments count wherever they are spread; the fields of the schema
 * itself (`__schema`, `__type`) count as tokens and depth alone, so that tools can read it.
 */
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
  /** What may come back at most: pages (`first`, `last`) of pages. */
  rows: 12_000,
} as const;

/** The same for an operation: without what is counted for the whole document. */
interface Size {
  depth: number;
  fields: number;
  aliases: number;
  directives: number;
  rows: number;
  /** There is `nodes` or `edges` among them: the field that they are of is a connection. */
  isPage: boolean;
}

const NOTHING: Readonly<Size> = {
  depth: 0,
  fields: 0,
  aliases: 0,
  directives: 0,
  rows: 0,
  isPage: false,
};

/** Documents whose size does not depend on variables. */
const REMEMBERED_DOCUMENTS = 1000;

export interface GraphQLBody {
  query?: unknown;
  operationName?: unknown;
  variableValues?: unknown;
}

/**
 * Refuses what would cost too much before it is validated and planned: the work to find that out
 * grows with the length of the document alone.
 * @returns a check that throws TOO_COMPLEX, or BAD_USER_INPUT for fragments that spread each other
 */
export function createLimitCheck(): (body: GraphQLBody) => void {
  const passed = new LRUCache<string, true>({ max: REMEMBERED_DOCUMENTS });

  return ({ query, operationName, variableValues }) => {
    if (typeof query !== "string" || passed.has(query)) return;
    const document = parseBounded(query);
    if (!document) return;
    const variables = (variableValues ?? {}) as Record<string, unknown>;
    const { fixed } = checkDocument(document, operationName, variables);
    if (fixed) passed.set(query, true);
  };
}

/** Undefined where it is no GraphQL: whoever parses it again says why. */
function parseBounded(query: string): DocumentNode | undefined {
  try {
    return parse(query, { maxTokens: LIMITS.tokens, noLocation: true });
  } catch (error) {
    if (error instanceof GraphQLError && error.message.includes("tokens")) {
      throw tooComplex("tokens", LIMITS.tokens);
    }
    return undefined;
  }
}

function checkDocument(
  document: DocumentNode,
  operationName: unknown,
  variables: Record<string, unknown>,
): { fixed: boolean } {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) {
      fragments.set(definition.name.value, definition);
    }
  }
  if (fragments.size > LIMITS.fragments) throw tooComplex("fragments", LIMITS.fragments);

  let fixed = true;
  const sizes = new Map<string, Size | "measuring">();

  function ofFragment(name: string): Size {
    const known = sizes.get(name);
    if (known === "measuring") {
      throw new ApiError("BAD_USER_INPUT", `The fragment "${name}" spreads itself.`);
    }
    if (known) return known;
    const fragment = fragments.get(name);
    if (!fragment) return NOTHING;
    sizes.set(name, "measuring");
    const size = ofSelections(fragment.selectionSet);
    size.directives += fragment.directives?.length ?? 0;
    sizes.set(name, size);
    return size;
  }

  function ofSelections(selectionSet: SelectionSetNode | undefined): Size {
    const size = { ...NOTHING };
    for (const selection of selectionSet?.selections ?? []) {
      const part =
        selection.kind === Kind.FIELD
          ? ofField(selection)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? ofSelections(selection.selectionSet)
            : ofFragment(selection.name.value);
      size.depth = Math.max(size.depth, part.depth);
      size.fields += part.fields;
      size.aliases += part.aliases;
      size.directives += part.directives + (selection.directives?.length ?? 0);
      size.rows += part.rows;
      size.isPage ||=
        selection.kind === Kind.FIELD
          ? selection.name.value === "nodes" || selection.name.value === "edges"
          : part.isPage;
    }
    return size;
  }

  function ofField(field: FieldNode): Size {
    const inner = ofSelections(field.selectionSet);
    const isSchema = field.name.value === "__schema" || field.name.value === "__type";
    const page = inner.isPage ? pageSize(field) : undefined;
    return {
      depth: inner.depth + 1,
      fields: isSchema ? 1 : inner.fields + 1,
      aliases: isSchema ? 0 : inner.aliases + (field.alias ? 1 : 0),
      directives: inner.directives,
      rows: page === undefined ? inner.rows : page * (1 + inner.rows),
      isPage: false,
    };
  }

  function pageSize({ arguments: given = [] }: FieldNode): number {
    const size = given.find(({ name }) => name.value === "first" || name.value === "last")?.value;
    if (size?.kind === Kind.VARIABLE) {
      fixed = false;
      return bounded(variables[size.name.value]);
    }
    return bounded(size?.kind === Kind.INT ? Number(size.value) : undefined);
  }

  // All of them where the name leaves it open, so that no name lets a large one through.
  const operations = document.definitions.filter(
    (definition) =>
      definition.kind === Kind.OPERATION_DEFINITION &&
      (typeof operationName !== "string" || definition.name?.value === operationName),
  );
  // Those that nobody spreads are validated all the same.
  for (const name of fragments.keys()) ofFragment(name);
  for (const operation of operations) {
    if (operation.kind !== Kind.OPERATION_DEFINITION) continue;
    const size = ofSelections(operation.selectionSet);
    size.directives += operation.directives?.length ?? 0;
    for (const limit of ["depth", "fields", "aliases", "directives", "rows"] as const) {
      if (size[limit] > LIMITS[limit]) throw tooComplex(limit, LIMITS[limit]);
    }
  }
  return { fixed };
}

function bounded(size: unknown): number {
  return typeof size === "number" && size >= 0 && size <= MAX_PAGE ? size : DEFAULT_PAGE;
}

const WORDS: Readonly<Record<keyof typeof LIMITS, string>> = {
  tokens: "tokens long",
  depth: "fields deep",
  fields: "fields",
  aliases: "aliases",
  directives: "directives",
  fragments: "fragments",
  rows: "rows, by the sizes of its pages",
};

function tooComplex(limit: keyof typeof LIMITS, most: number): ApiError {
  return new ApiError(
    "TOO_COMPLEX",
    `This request is too large: ${most.toLocaleString("en")} ${WORDS[limit]} are allowed.`,
    { hint: "Ask for less at a time." },
  );
}
