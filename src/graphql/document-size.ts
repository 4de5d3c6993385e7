import {
  type ASTNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from "postgraphile/graphql";
import { ApiError } from "../errors.ts";
import { DEFAULT_PAGE, MAX_PAGE } from "./page-size-plugin.ts";
import { MAX_DEPTH } from "./variables.ts";

/** A part of a filter becomes a condition of the statement: it counts as so many values. */
export const FILTER_WEIGHT = 10;

/** What an operation asks for, its fragments counted wherever they are spread. */
export interface Size {
  depth: number;
  fields: number;
  aliases: number;
  directives: number;
  /** Readings of the schema itself: each `__schema` and `__type`, and each alias within, reads its lists anew. */
  introspections: number;
  /** What may come back at most: pages (`first`, `last`) of pages. */
  rows: number;
  /** Entries of lists and objects that stand in the document, wherever they are spread. */
  values: number;
  /** How often each variable is used. */
  uses: Map<string, number>;
}

/** There is `nodes` or `edges` among the selections: the field that they are of is a connection. */
type Part = Size & { isPage: boolean };

const nothing = (): Part => ({
  depth: 0,
  fields: 0,
  aliases: 0,
  directives: 0,
  introspections: 0,
  rows: 0,
  values: 0,
  uses: new Map(),
  isPage: false,
});

export interface MeasuredDocument {
  fragments: number;
  operations: { node: OperationDefinitionNode; size: Size }[];
  /** Whether it is the same for all values of the variables. */
  fixed: boolean;
}

/**
 * Measures a document; the fields of the schema itself (`__schema`, `__type`) do not count as fields, so
 * that tools can read it. The work grows with the length of the document, whatever it would unfold to.
 * @throws {ApiError} BAD_USER_INPUT for fragments that spread each other, and numbers beyond a double
 */
export function measureDocument(
  document: DocumentNode,
  variables: Record<string, unknown>,
): MeasuredDocument {
  const fragments = new Map<string, FragmentDefinitionNode>();
  /** Page sizes in variables that are left out; the largest of all operations, which share the fragments. */
  const defaults = new Map<string, number>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) {
      fragments.set(definition.name.value, definition);
    } else if (definition.kind === Kind.OPERATION_DEFINITION) {
      for (const { variable, defaultValue } of definition.variableDefinitions ?? []) {
        if (defaultValue?.kind !== Kind.INT) continue;
        const size = bounded(Number(defaultValue.value));
        defaults.set(variable.name.value, Math.max(size, defaults.get(variable.name.value) ?? 0));
      }
    }
  }

  let fixed = true;
  const parts = new Map<string, Part | "measuring">();

  function ofFragment(name: string): Part {
    const known = parts.get(name);
    if (known === "measuring") {
      throw new ApiError("BAD_USER_INPUT", `The fragment "${name}" spreads itself.`);
    }
    if (known) return known;
    const fragment = fragments.get(name);
    if (!fragment) return nothing();
    parts.set(name, "measuring");
    const part = ofSelections(fragment.selectionSet);
    ofDirectives(fragment, part);
    parts.set(name, part);
    return part;
  }

  function ofSelections(selectionSet: SelectionSetNode | undefined): Part {
    const sum = nothing();
    for (const selection of selectionSet?.selections ?? []) {
      const part =
        selection.kind === Kind.FIELD
          ? ofField(selection)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? ofSelections(selection.selectionSet)
            : ofFragment(selection.name.value);
      sum.depth = Math.max(sum.depth, part.depth);
      sum.fields += part.fields;
      sum.aliases += part.aliases;
      sum.directives += part.directives;
      sum.introspections += part.introspections;
      sum.rows += part.rows;
      sum.values += part.values;
      for (const [name, uses] of part.uses) use(sum, name, uses);
      ofDirectives(selection, sum);
      sum.isPage ||=
        selection.kind === Kind.FIELD
          ? selection.name.value === "nodes" || selection.name.value === "edges"
          : part.isPage;
    }
    return sum;
  }

  function ofField(field: FieldNode): Part {
    const inner = ofSelections(field.selectionSet);
    const isSchema = field.name.value === "__schema" || field.name.value === "__type";
    const page = inner.isPage ? pageSize(field) : undefined;
    const part: Part = {
      depth: inner.depth + 1,
      fields: isSchema ? 1 : inner.fields + 1,
      aliases: (isSchema ? 0 : inner.aliases) + (field.alias ? 1 : 0),
      directives: inner.directives,
      introspections: inner.introspections + (isSchema ? 1 + inner.aliases : 0),
      rows: page === undefined ? inner.rows : page * (1 + inner.rows),
      values: inner.values,
      uses: inner.uses,
      isPage: false,
    };
    for (const { name, value } of field.arguments ?? []) {
      ofValue(value, part, name.value === "filter" ? FILTER_WEIGHT : 1);
    }
    return part;
  }

  function pageSize({ arguments: given = [] }: FieldNode): number {
    const size = given.find(({ name }) => name.value === "first" || name.value === "last")?.value;
    if (size?.kind === Kind.VARIABLE) {
      fixed = false;
      const given = variables[size.name.value];
      return given === undefined ? (defaults.get(size.name.value) ?? DEFAULT_PAGE) : bounded(given);
    }
    return bounded(size?.kind === Kind.INT ? Number(size.value) : undefined);
  }

  const operations: MeasuredDocument["operations"] = [];
  // Those that nobody spreads are validated all the same.
  for (const name of fragments.keys()) ofFragment(name);
  for (const node of document.definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION) continue;
    const size = ofSelections(node.selectionSet);
    ofDirectives(node, size);
    operations.push({ node, size });
  }
  return { fragments: fragments.size, operations, fixed };
}

function ofDirectives(node: ASTNode, part: Part): void {
  const { directives = [] } = node as FieldNode;
  part.directives += directives.length;
  for (const { arguments: given = [] } of directives) {
    for (const { value } of given) ofValue(value, part, 1);
  }
}

/** @param weight what a field of an object counts for */
function ofValue(
  value: ValueNode,
  part: Pick<Size, "values" | "uses">,
  weight: number,
  depth = 0,
): void {
  if (depth > MAX_DEPTH) {
    throw new ApiError("BAD_USER_INPUT", `A value may be ${MAX_DEPTH} levels deep.`);
  }
  switch (value.kind) {
    case Kind.VARIABLE:
      use(part, value.name.value, 1);
      return;
    case Kind.LIST:
      part.values += value.values.length;
      for (const entry of value.values) ofValue(entry, part, weight, depth + 1);
      return;
    case Kind.OBJECT:
      part.values += value.fields.length * weight;
      for (const field of value.fields) ofValue(field.value, part, weight, depth + 1);
      return;
    case Kind.INT:
    case Kind.FLOAT:
      if (!Number.isFinite(Number(value.value))) {
        throw new ApiError("BAD_USER_INPUT", "A number is too large.");
      }
  }
}

/** How many values there are in one that stands in the document. */
export function countLiteral(value: ValueNode, weight: number): number {
  const part = { values: 0, uses: new Map<string, number>() };
  ofValue(value, part, weight);
  return part.values;
}

function use({ uses }: Pick<Size, "uses">, name: string, times: number): void {
  uses.set(name, (uses.get(name) ?? 0) + times);
}

function bounded(size: unknown): number {
  return typeof size === "number" && size >= 0 && size <= MAX_PAGE ? size : DEFAULT_PAGE;
}
