import type { ClientBase } from "pg";
import { inWords } from "./reasons.ts";
import type { TableName } from "./table.ts";

/** Ids by reason. */
export type Ids = Record<string, number[]>;

export interface TableReport {
  /** Rows in the old database: always the sum of the next three. */
  rows: number;
  moved: number;
  /** Moved by an earlier run. */
  present: number;
  skipped: number;
  skippedFor: Ids;
  /** Of moved and present rows: what is not as it was. */
  noted: Ids;
}

export interface ImportReport {
  dryRun: boolean;
  tables: Record<TableName, TableReport>;
  /** Columns without a time zone: they were read as UTC. */
  readAsUtc: string[];
  /** Tables and columns that the template does not have: they were not moved. */
  notMoved: string[];
}

/** Counts what became of the staged rows of a table. */
export async function reportOn(
  table: TableName,
  rows: number,
  target: ClientBase,
): Promise<TableReport> {
  const source = `pg_temp.source_${table}`;
  const { rows: states } = await target.query<{ state: string; count: string }>(
    `select state, count(*) from ${source} group by state`,
  );
  const count = (state: string) => Number(states.find((row) => row.state === state)?.count ?? 0);
  return {
    rows,
    moved: count("moved"),
    present: count("present"),
    skipped: count("skipped"),
    skippedFor: await idsBy(target, `select reason, id from ${source} where state = 'skipped'`),
    noted: await idsBy(
      target,
      `select n, s.id from ${source} s cross join unnest(s.notes) n where s.state <> 'skipped'`,
    ),
  };
}

async function idsBy(target: ClientBase, query: string): Promise<Ids> {
  const { rows } = await target.query<{ reason: string; ids: number[] }>(
    `select q.reason, array_agg(q.id order by q.id) as ids
     from (${query}) as q(reason, id) group by q.reason order by q.reason`,
  );
  return Object.fromEntries(rows.map(({ reason, ids }) => [reason, ids]));
}

const SHOWN = 20;

/** The report for people: the first ids of each reason, and what it means. */
export function reportText(report: ImportReport): string {
  const lines: string[] = [];
  const [moved, skipped] = report.dryRun
    ? ["would be moved", "would be skipped"]
    : ["moved", "skipped"];
  for (const [name, table] of Object.entries(report.tables)) {
    lines.push(
      `${name}: ${table.moved} ${moved}, ${table.present} here already, ${table.skipped} ${skipped}, of ${table.rows}`,
      ...idLines("skipped", table.skippedFor),
      ...idLines("noted", table.noted),
    );
  }
  if (report.readAsUtc.length > 0) {
    lines.push(`Times without a zone, read as UTC: ${report.readAsUtc.join(", ")}`);
  }
  if (report.notMoved.length > 0) {
    lines.push(`Not of the template, not moved: ${report.notMoved.join(", ")}`);
  }
  lines.push(report.dryRun ? "A dry run: nothing was changed." : "Done.");
  return lines.join("\n");
}

function idLines(what: string, ids: Ids): string[] {
  return Object.entries(ids).map(([reason, all]) => {
    const words = inWords(reason);
    const more = all.length > SHOWN ? ` and ${all.length - SHOWN} more (--json lists all)` : "";
    const shown = all.slice(0, SHOWN).join(", ");
    return `  ${what} ${all.length}, ${reason}${words ? ` (${words})` : ""}: ${shown}${more}`;
  });
}
