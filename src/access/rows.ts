/** What decides which rows of a table a command reaches. */
export interface Table {
  oid: number;
  is_view: boolean;
  /** A view that reads with its caller's rights. */
  is_invoker: boolean;
  has_security: boolean;
}

export interface Policy {
  table_oid: number;
  name: string;
  is_permissive: boolean;
  command: string;
  roles: string[];
  /** What holds for rows that are read, changed or deleted. */
  seen: string | null;
  /** What holds for rows as they are written. */
  written: string | null;
}

const BY_POLICIES = ["select", "insert", "update", "delete"];

/** Which rows a command reaches, in words: what the policies let through, and what they hold back. */
export function rowsOf(table: Table, command: string, policies: Policy[]): string {
  if (table.is_view) {
    return table.is_invoker
      ? "as its tables let the caller"
      : "**all that it shows**: as its owner";
  }
  if (!BY_POLICIES.includes(command)) return "every row: policies do not hold it";
  if (!table.has_security) return "**every row**: row-level security is off";
  const about = policies.filter((policy) => policy.command === command);
  const permissive = about.filter(({ is_permissive }) => is_permissive);
  if (permissive.length === 0) return "no row: there is no policy";
  return [
    permissive.map((policy) => inWords(policy)).join("; or "),
    ...about
      .filter(({ is_permissive }) => !is_permissive)
      .map((policy) => `and only **restrictive** ${inWords(policy)}`),
  ].join("; ");
}

function inWords({ name, roles, command, seen, written }: Policy): string {
  return `${name} (${roles.join(", ")}): ${condition(command, seen, written)}`;
}

function condition(command: string, seen: string | null, written: string | null): string {
  if (command === "insert") return readable(written);
  if (command !== "update" || seen === written) return readable(seen);
  return `${readable(seen)}, then ${readable(written)}`;
}

/** As PostgreSQL writes an expression, on one line and without what it adds. */
export function readable(expression: string | null): string {
  const text = (expression ?? "true")
    .replace(/\s+/g, " ")
    .replace(/\( ?SELECT ([\w.]+\([^()]*\)) AS \w+\)/g, "$1");
  const bare = withoutParentheses(text);
  if (bare === "true") return "every row";
  return bare === "false" ? "no row" : `\`${bare}\``;
}

/** Without the pair around all of it. */
function withoutParentheses(text: string): string {
  if (!text.startsWith("(")) return text;
  let depth = 0;
  for (const [position, character] of [...text].entries()) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (depth === 0) return position === text.length - 1 ? text.slice(1, -1) : text;
  }
  return text;
}
