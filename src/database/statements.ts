/** What a statement may hold in which a semicolon ends nothing, or a bracket opens nothing. */
const QUOTED =
  /--[^\r\n]*|\/\*|\b[eE]'(?:\\[\s\S]|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\1|[()[\];]|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/g;

/**
 * Where each statement of a text begins, comments before it left out. It reads as PostgreSQL's lexer
 * does, as far as semicolons are concerned: quotes, dollar quotes, nested comments, brackets, and
 * the body of a function between `begin atomic` and `end`.
 */
export function statementStarts(sql: string): number[] {
  const starts: number[] = [];
  let isWithin = false;
  let depth = 0;
  let blocks = 0;
  let previous = "";
  const begin = (index: number) => {
    if (isWithin) return;
    isWithin = true;
    starts.push(index);
  };
  QUOTED.lastIndex = 0;
  let position = 0;
  for (let match = QUOTED.exec(sql); match; match = QUOTED.exec(sql)) {
    const [token] = match;
    // What is no token of interest, such as a number or an operator, begins a statement as well.
    const gap = /\S/.exec(sql.slice(position, match.index));
    if (gap) begin(position + gap.index);
    position = QUOTED.lastIndex;
    if (token.startsWith("--")) continue;
    if (token === "/*") {
      position = endOfComment(sql, match.index);
      QUOTED.lastIndex = position;
      continue;
    }
    const word = token.toLowerCase();
    if (token === ";") {
      if (depth === 0 && blocks === 0) isWithin = false;
    } else {
      begin(match.index);
      if (token === "(" || token === "[") depth += 1;
      if (token === ")" || token === "]") depth -= 1;
      if (word === "atomic" && previous === "begin") blocks += 1;
      else if (word === "case" && blocks > 0) blocks += 1;
      else if (word === "end" && blocks > 0) blocks -= 1;
    }
    previous = word;
  }
  const rest = /\S/.exec(sql.slice(position));
  if (rest) begin(position + rest.index);
  return starts;
}

/** The text without comments, blanks outside of quotes as one: two that are the same here do the same. */
export function withoutComments(sql: string): string {
  const kept: string[] = [];
  let position = 0;
  const blank = () => {
    if (kept.length > 0 && kept.at(-1) !== " ") kept.push(" ");
  };
  const keep = (gap: string) => {
    for (const [index, part] of gap.split(/\s+/).entries()) {
      if (index > 0) blank();
      if (part !== "") kept.push(part);
    }
  };
  QUOTED.lastIndex = 0;
  for (let match = QUOTED.exec(sql); match; match = QUOTED.exec(sql)) {
    const [token] = match;
    keep(sql.slice(position, match.index));
    position = QUOTED.lastIndex;
    if (token.startsWith("--")) blank();
    else if (token === "/*") {
      blank();
      position = endOfComment(sql, match.index);
      QUOTED.lastIndex = position;
    } else kept.push(token);
  }
  keep(sql.slice(position));
  return kept.join("").trim();
}

function endOfComment(sql: string, start: number): number {
  const edges = /\/\*|\*\//g;
  edges.lastIndex = start;
  let depth = 0;
  for (let match = edges.exec(sql); match; match = edges.exec(sql)) {
    depth += match[0] === "/*" ? 1 : -1;
    if (depth === 0) return edges.lastIndex;
  }
  return sql.length;
}
