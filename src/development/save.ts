/** What followed of a save, as the terminal and the console tell it. Plain data: it goes from process to process. */
export interface Save {
  /** ISO 8601. */
  at: string;
  /** None: at the start of `npm run dev`. */
  files: string[];
  seconds: number;
  /** PostgreSQL took it. */
  isApplied: boolean;
  /** Why it changed nothing: PostgreSQL's word with the line; or, where that took it, PostGraphile's. */
  fault: string | null;
  /** What breaks clients comes first. */
  api: Change[];
  /** Who may what, that was otherwise before. */
  access: Right[];
  /** All that the rules find now. */
  findings: RuleFinding[];
  /** How many the save has mended. */
  mended: number;
}

export interface Change {
  sign: "+" | "-" | "~";
  message: string;
  level: "breaking" | "dangerous" | "compatible";
}

/** A line of migrations/access.md. */
export interface Right {
  sign: "+" | "-";
  /** Table, command, who and which rows; or function, who and whose rights. */
  line: string[];
}

export interface RuleFinding {
  rule: string;
  level: "error" | "warning";
  object: string;
  detail: string;
  resolution: string;
  page: string;
  isNew: boolean;
}
