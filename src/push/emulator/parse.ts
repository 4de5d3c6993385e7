import type { Kind, Shape } from "./fields.ts";

/** A row of google.rpc.BadRequest; what is wrong at the top has no field. */
export interface Violation {
  field: string;
  description: string;
}

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Seconds with up to nine decimals, and the unit. */
const DURATION = /^-?\d+(\.\d{1,9})?s$/;

const SCALARS: Readonly<Record<string, [type: string, fits: (value: unknown) => boolean]>> = {
  string: ["TYPE_STRING", (value) => typeof value === "string"],
  boolean: ["TYPE_BOOL", (value) => typeof value === "boolean"],
  integer: ["TYPE_INT32", (value) => Number.isInteger(value)],
  number: ["TYPE_FLOAT", (value) => typeof value === "number"],
  duration: [
    "type.googleapis.com/google.protobuf.Duration",
    (value) => typeof value === "string" && DURATION.test(value),
  ],
  struct: ["type.googleapis.com/google.protobuf.Struct", isObject],
};

/**
 * Reads an object as Google's JSON parser does: unknown names and wrong types are violations, null
 * is absent, and either name of a field is taken. What it returns has the names with underscores.
 */
export function parseShape(
  value: JsonObject,
  shape: Shape,
  path: string,
  violations: Violation[],
): JsonObject {
  const parsed: JsonObject = {};
  for (const key of Object.keys(value)) {
    const field = shape.fields.get(key);
    if (!field) {
      const at = path === "" ? "" : ` at '${path}'`;
      violations.push({
        field: path,
        description: `Invalid JSON payload received. Unknown name "${key}"${at}: Cannot find field.`,
      });
    } else if (value[key] !== null) {
      const place = path === "" ? field.name : `${path}.${field.name}`;
      parsed[field.name] = parseKind(value[key], field.kind, place, violations);
    }
  }
  return parsed;
}

function parseKind(value: unknown, kind: Kind, path: string, violations: Violation[]): unknown {
  const refuse = (at: string, type: string, what: unknown) => {
    violations.push({
      field: at,
      description: `Invalid value at '${at}' (${type}), ${JSON.stringify(what)}`,
    });
  };
  if (typeof kind === "object") {
    if ("values" in kind) {
      // The SDKs send `high`: names of enums are taken in either case.
      const name = typeof value === "string" ? value.toUpperCase() : "";
      if (!kind.values.includes(name)) refuse(path, kind.type, value);
      return value;
    }
    if (isObject(value)) return parseShape(value, kind, path, violations);
    refuse(path, kind.type, value);
    return undefined;
  }
  if (kind === "map") {
    if (!isObject(value)) refuse(path, "Map", value);
    else {
      let index = 0;
      for (const entry of Object.values(value)) {
        if (typeof entry !== "string") refuse(`${path}[${index}].value`, "TYPE_STRING", entry);
        index += 1;
      }
    }
    return value;
  }
  if (kind === "strings" || kind === "durations") {
    const [type, fits] = SCALARS[kind.slice(0, -1)] as (typeof SCALARS)[string];
    if (!Array.isArray(value)) refuse(path, type, value);
    else
      for (const [i, item] of value.entries()) if (!fits(item)) refuse(`${path}[${i}]`, type, item);
    return value;
  }
  const [type, fits] = SCALARS[kind] as (typeof SCALARS)[string];
  if (!fits(value)) refuse(path, type, value);
  return value;
}
