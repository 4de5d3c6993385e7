/** What a field of the log must never hold, by its name: secrets, and addresses of people. */
const SECRET =
  /(password|token|secret|verifier|authorization|cookie|privatekey|variables|variablevalues|payload|email|phone)$|^(identifier|headers|body)$/i;
export const CENSOR = "[redacted]";
const MAX_DEPTH = 5;

/** By name, because the names of fields are few and lines are many. */
const known = new Map<string, boolean>();

function isSecret(name: string): boolean {
  let answer = known.get(name);
  if (answer === undefined) {
    answer = SECRET.test(name);
    // Whose names come from data is no field of ours.
    if (known.size < 1000) known.set(name, answer);
  }
  return answer;
}

/** The same, without what must not be logged, however deep it is. Errors have their own serializer. */
export function redact(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const name in fields) {
    const value = fields[name];
    let shown = value;
    if (isSecret(name) && value !== undefined && value !== null)
      shown = isFlag(value) ? value : CENSOR;
    else if (typeof value === "object" && value !== null && !(value instanceof Error)) {
      shown = depth < MAX_DEPTH ? redactNested(value, depth + 1) : CENSOR;
    }
    if (shown !== value) {
      copy ??= { ...fields };
      copy[name] = shown;
    }
  }
  return copy ?? fields;
}

/** `hasPassword: true` and a count of tokens tell nothing. */
function isFlag(value: unknown): boolean {
  return typeof value === "boolean" || typeof value === "number";
}

function redactNested(value: object, depth: number): unknown {
  if (Array.isArray(value)) {
    return value.map((entry) =>
      typeof entry === "object" && entry !== null ? redactNested(entry, depth) : entry,
    );
  }
  if (value instanceof Date) return value;
  return redact(value as Record<string, unknown>, depth);
}
