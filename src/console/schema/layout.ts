import { Graph, layout } from "@dagrejs/dagre";

export interface Column {
  name: string;
  type: string;
  isRequired: boolean;
  isKey: boolean;
  references: string | null;
}

export interface Table {
  name: string;
  description: string | null;
  columns: Column[];
}

export interface Box {
  table: Table;
  /** Keys and references: what the picture is about. */
  columns: Column[];
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Arrow {
  from: string;
  to: string;
  /** Of an SVG path. */
  path: string;
}

/** In units of the picture; sixteen of them are one rem. */
export const HEAD = 34;
export const ROW = 22;
const PADDING = 8;
const LETTER = 7.6;
const MARGIN = 3;
const GAP = 28;
const NARROWEST = 900;

/** `app_public.users` → `users`. */
export const nameOf = (table: string): string => table.replace("app_public.", "");

/** Where each table stands: what is referred to left of what refers to it, what stands alone below. */
export function arrange(tables: readonly Table[]) {
  const names = new Set(tables.map(({ name }) => name));
  const references = tables.flatMap(({ name, columns }) =>
    columns.flatMap((column) => {
      const to = column.references === null ? undefined : nameOf(column.references);
      return to !== undefined && to !== name && names.has(to)
        ? [{ from: name, to, column: column.name }]
        : [];
    }),
  );
  const related = new Set(references.flatMap(({ from, to }) => [from, to]));
  const graph = new Graph({ multigraph: true })
    .setGraph({ rankdir: "LR", nodesep: 22, ranksep: 90, marginx: MARGIN, marginy: MARGIN })
    .setDefaultEdgeLabel(() => ({}));
  const sized = tables.map(sizeOf);
  for (const { table, width, height } of sized) {
    if (related.has(table.name)) graph.setNode(table.name, { width, height });
  }
  for (const { from, to, column } of references) graph.setEdge(to, from, {}, column);
  layout(graph);
  let { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  width = Math.max(width, NARROWEST);
  const boxes = sized
    .filter(({ table }) => related.has(table.name))
    .map((box): Box => {
      const { x, y } = graph.node(box.table.name) as Point;
      return { ...box, x: x - box.width / 2, y: y - box.height / 2 };
    });
  let x = MARGIN;
  let y = height === 0 ? MARGIN : height + GAP;
  let lowest = 0;
  for (const box of sized.filter(({ table }) => !related.has(table.name))) {
    if (x > MARGIN && x + box.width > width) {
      x = MARGIN;
      y += lowest + GAP;
      lowest = 0;
    }
    boxes.push({ ...box, x, y });
    x += box.width + GAP;
    lowest = Math.max(lowest, box.height);
    height = Math.max(height, y + box.height + MARGIN);
  }
  const arrows = graph.edges().map(({ v, w, name }): Arrow => {
    const { points = [] } = graph.edge({ v, w, name }) as { points?: Point[] };
    return { from: w, to: v, path: path(points.toReversed()) };
  });
  return { boxes, arrows, width, height };
}

function sizeOf(table: Table): Omit<Box, "x" | "y"> {
  const columns = table.columns.filter(({ isKey, references }) => isKey || references !== null);
  const letters = Math.max(
    table.name.length * 1.1,
    ...columns.map(({ name, isKey }) => name.length + (isKey ? 6 : 2)),
  );
  return {
    table,
    columns,
    width: Math.ceil(letters * LETTER) + 28,
    height: HEAD + columns.length * ROW + (columns.length > 0 ? PADDING : 0),
  };
}

interface Point {
  x: number;
  y: number;
}

/** Through the middles of what lies between, so that it bends and has no corner. */
function path(points: Point[]): string {
  const [first, ...rest] = points as [Point, ...Point[]];
  const last = rest.at(-1) ?? first;
  const bends = rest.slice(0, -1).map((point, index) => {
    const next = rest[index + 1] as Point;
    const end = index === rest.length - 2 ? next : middle(point, next);
    return `Q ${at(point)} ${at(end)}`;
  });
  return `M ${at(first)} ${bends.length > 0 ? bends.join(" ") : `L ${at(last)}`}`;
}

const at = ({ x, y }: Point): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
