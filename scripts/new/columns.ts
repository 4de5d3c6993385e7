import { capitalised, checkName, NewError, wordsOf } from "./names.ts";

export interface Column {
  name: string;
  type: string;
  isRequired: boolean;
  /** As SQL, for tests: one value, and another one. */
  samples: [string, string];
  /** What it holds, for the API. */
  comment: string;
  check?: { name: string; condition: string; message: string };
}

/** Types by their name, with two values each. */
export const SAMPLES: Readonly<Record<string, [string, string]>> = {
  text: ["'One'", "'Another'"],
  citext: ["'One'", "'Another'"],
  boolean: ["false", "true"],
  int: ["1", "2"],
  bigint: ["1", "2"],
  numeric: ["1.5", "2.5"],
  uuid: ["'00000000-0000-4000-8000-000000000001'", "'00000000-0000-4000-8000-000000000002'"],
  date: ["'2030-01-01'", "'2030-01-02'"],
  time: ["'08:00'", "'09:00'"],
  timestamptz: ["'2030-01-01T08:00:00Z'", "'2030-01-01T09:00:00Z'"],
  jsonb: [`'{"is": 1}'`, `'{"is": 2}'`],
};

const OWN = ["id", "user_id", "created_at", "updated_at", "node_id"];

/** `title:text`, or `body:text?` for one that may be null. */
export function parseColumn(argument: string, table: string): Column {
  const [, given, type = "text", optional] = /^([^:?]*)(?::([^?]*))?(\?)?$/.exec(argument) ?? [];
  const isRequired = optional === undefined;
  const samples = Object.hasOwn(SAMPLES, type) ? SAMPLES[type] : undefined;
  if (!samples) {
    throw new NewError(
      `${argument}: there is no type ${type} here. Take one of ${Object.keys(SAMPLES).join(", ")}, and change it in current.sql.`,
    );
  }
  const name = conventional(checkName(given, "column"), type);
  if (OWN.includes(name)) throw new NewError(`Every table has its own ${name} already.`);
  const check = checkOf(table, name, type, isRequired);
  return { name, type, isRequired, samples, comment: commentOf(name), ...(check && { check }) };
}

/** As test/sql/conventions.test.ts wants it: booleans are is_ or has_, instants end with _at. */
function conventional(name: string, type: string): string {
  if (type === "boolean" && !/^(is|has)_/.test(name)) return checkName(`is_${name}`, "column");
  if (type === "timestamptz" && !/_(at|until)$/.test(name))
    return checkName(`${name}_at`, "column");
  if (type !== "timestamptz" && /_at$/.test(name)) {
    throw new NewError(`${name}: what ends with _at is a timestamptz.`);
  }
  return name;
}

function commentOf(name: string): string {
  if (/^(is|has)_/.test(name)) {
    const [verb, ...rest] = name.split("_");
    return `Whether it ${verb} ${rest.join(" ")}.`;
  }
  if (/_at$/.test(name)) return `When it is ${wordsOf(name.replace(/_at$/, ""))}.`;
  return `Its ${wordsOf(name)}.`;
}

function checkOf(table: string, name: string, type: string, isRequired: boolean): Column["check"] {
  const subject = capitalised(wordsOf(name));
  if (type === "text" || type === "citext") {
    return {
      name: `${table}_${name}_length`,
      condition: isRequired ? `length(${name}) between 1 and 10000` : `length(${name}) <= 10000`,
      message: isRequired
        ? `${subject} has 1 to 10,000 characters.`
        : `${subject} has at most 10,000 characters.`,
    };
  }
  if (type !== "jsonb") return undefined;
  return {
    name: `${table}_${name}_size`,
    condition: `octet_length(${name}::text) <= 65536`,
    message: `${subject} has at most 64 KiB as text.`,
  };
}
