import { type Figure, isMet } from "./bench.ts";

/** The figures of a bench, as a table for people. */
export function formatTable(title: string, figures: Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    formatNumber(figure.value),
    figure.unit,
    figure.ratio === undefined ? "" : figure.ratio.toFixed(2),
    formatTarget(figure),
    verdict(figure),
  ]);
  const table = [["figure", "value", "unit", "ratio", "target", ""], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => width(row[column]))));
  const lines = table.map((row) =>
    row
      .map((cell, column) => {
        const isNumber = column === 1 || column === 3;
        return isNumber ? cell.padStart(widths?.[column] ?? 0) : cell.padEnd(widths?.[column] ?? 0);
      })
      .join("  ")
      .trimEnd(),
  );
  return [title, ...lines].join("\n");
}

function width(cell: string | undefined): number {
  return cell?.length ?? 0;
}

/** Three digits that count, and no more noise than that. */
function formatNumber(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function formatTarget({ target, ratio, unit }: Figure): string {
  if (!target) return "";
  const { atLeast, atMost } = target;
  const of = ratio === undefined && unit !== "" ? ` ${unit}` : "";
  if (atLeast !== undefined && atMost !== undefined) return `${atLeast} to ${atMost}${of}`;
  const [sign, bound] = atLeast !== undefined ? ["≥", atLeast] : ["≤", atMost];
  return `${sign} ${bound?.toLocaleString("en-US")}${of}${ratio === undefined ? "" : " (ratio)"}`;
}

function verdict(figure: Figure): string {
  const met = isMet(figure);
  return met === undefined ? "" : met ? "met" : "missed";
}
