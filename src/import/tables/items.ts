import { asTheyAre, type ImportTable, type Kind, readParts } from "../table.ts";

const columns = {
  user_id: "int",
  title: "text",
  description: "text",
  data: "json",
  is_active: "boolean",
  updated_at: "time",
} as const satisfies Record<string, Kind>;

/** As the API takes them: brackets within brackets. */
const MAX_DEPTH = 100;

/** What does not fit is skipped whole: its owner would miss what is cut off. */
export const items: ImportTable = {
  name: "items",
  target: "app_public.items",
  keepsIds: true,
  columns,
  staged: { ...asTheyAre(columns), is_too_deep: "boolean" },
  stage: (row) => ({ ...row, is_too_deep: depthOf(row.data) > MAX_DEPTH }),
  batchSize: 1000,
  ...readParts("items"),
};

/** How many brackets of a JSON text are open at once, at most. */
function depthOf(json: unknown): number {
  let depth = 0;
  let deepest = 0;
  if (typeof json !== "string") return 0;
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}]/g)) {
    if (token === "[" || token === "{") deepest = Math.max(deepest, ++depth);
    else if (token === "]" || token === "}") depth -= 1;
  }
  return deepest;
}
