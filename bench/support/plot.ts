import type { Figure } from "./bench.ts";

/** Pixels. */
const WIDTH = 720;
const BAR = 16;
const GAP = 14;
const LABELS = 210;
const VALUES = 60;
const COLOURS = ["#8a8f98", "#5b8def", "#e07a3f", "#b5532a"];

/**
 * A bar chart, as SVG, of figures whose names are `group: series` or `group: series, more`; the first series of
 * each group counts as 1.
 */
export function plotRatios(title: string, figures: Figure[]): string {
  const groups = new Map<string, Map<string, number>>();
  for (const { name, value } of figures) {
    const [group, more] = name.split(": ") as [string, string];
    const series = more.replace(/, against .*/, "");
    const bars = groups.get(group) ?? new Map<string, number>();
    groups.set(group, bars.set(series, value));
  }
  const most = Math.max(...[...groups.values()].flatMap((bars) => ratios(bars).map(([, r]) => r)));
  const scale = (WIDTH - LABELS - VALUES) / most;
  const parts: string[] = [text(0, 18, title, "font-weight='600'")];
  let y = 44;
  for (const [group, bars] of groups) {
    parts.push(text(0, y, group, "font-weight='600'"));
    y += 8;
    for (const [index, [series, ratio]] of ratios(bars).entries()) {
      const colour = COLOURS[index % COLOURS.length];
      const length = (ratio * scale).toFixed(1);
      parts.push(
        text(12, y + BAR - 4, series),
        `<rect x="${LABELS}" y="${y}" width="${length}" height="${BAR - 2}" rx="2" fill="${colour}"/>`,
        text(LABELS + Number(length) + 6, y + BAR - 4, ratio.toFixed(2)),
      );
      y += BAR;
    }
    y += GAP + 8;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="12" fill="#57606a" role="img" aria-label="${escaped(title)}">
${parts.join("\n")}
</svg>
`;
}

function ratios(bars: Map<string, number>): [string, number][] {
  const [first = 1] = bars.values();
  return [...bars].map(([series, value]) => [series, value / first]);
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y}" ${more}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
