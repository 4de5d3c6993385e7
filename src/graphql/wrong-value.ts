import { type DocumentNode, valueFromASTUntyped, visit } from "postgraphile/graphql";

/** What a client sent: where a wrong value stands in it is looked for once something has gone wrong. */
export interface Asked {
  document: DocumentNode;
  variables: Readonly<Record<string, unknown>>;
}

type IsWrong = (value: unknown, path: readonly string[]) => boolean;

/**
 * The name of the field at which a value is that PostgreSQL could not take, if it stands under one name alone.
 * @param message PostgreSQL's, which quotes the value; NUL it cannot quote
 */
export function fieldOfWrongValue(asked: Asked, message: string): string | undefined {
  if (/0x00|\\u0000|Unicode escape/.test(message)) {
    return fieldWhere(asked, (value) =>
      typeof value === "object" && value !== null
        ? Object.keys(value).some((key) => key.includes("\0"))
        : typeof value === "string" && value.includes("\0"),
    );
  }
  const [, quoted] = /"(.*)"/s.exec(message) ?? [];
  return fieldWhere(
    asked,
    (value) => (typeof value === "string" || typeof value === "number") && `${value}` === quoted,
  );
}

/** The name of the field in a filter that is null. */
export function fieldOfNullInFilter(asked: Asked): string | undefined {
  return fieldWhere(asked, (value, path) => value === null && path[0] === "filter");
}

/** Of `after` and `before`, the one that is no cursor. */
export function fieldOfNoCursor(asked: Asked): string | undefined {
  return fieldWhere(
    asked,
    (value, path) => /^(after|before)$/.test(path.at(-1) ?? "") && !isCursor(value),
  );
}

function isCursor(value: unknown): boolean {
  try {
    return value == null || Array.isArray(JSON.parse(Buffer.from(`${value}`, "base64").toString()));
  } catch {
    return false;
  }
}

function fieldWhere({ document, variables }: Asked, isWrong: IsWrong): string | undefined {
  const names = new Set<string>();
  visit(document, {
    Argument({ name, value }) {
      collect(valueFromASTUntyped(value, variables), [name.value], isWrong, names);
    },
  });
  const [name, ...others] = names;
  return others.length === 0 ? name : undefined;
}

function collect(value: unknown, path: string[], isWrong: IsWrong, names: Set<string>): void {
  if (isWrong(value, path)) names.add(fieldAt(path));
  if (typeof value !== "object" || value === null) return;
  for (const [key, entry] of Object.entries(value)) {
    collect(entry, Array.isArray(value) ? path : [...path, key], isWrong, names);
  }
}

/** What is within a filter is wrong at its column, what is within a JSON value at the field that has it. */
function fieldAt(path: readonly string[]): string {
  const [argument, ...within] = path;
  const column =
    argument === "filter" && within.find((name) => !["and", "or", "not"].includes(name));
  return column || (path.slice(0, 3).at(-1) as string);
}
