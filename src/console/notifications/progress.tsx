import { Label, ProgressBar } from "react-aria-components";
import type { TallyFragment } from "../graphql/generated.ts";
import { count, counted } from "../ui/status.tsx";

const PARTS = [
  ["accepted", "Accepted", "accepted"],
  ["pending", "Waiting", "waiting"],
  ["skipped", "Skipped", "skipped"],
  ["canceled", "Canceled", "skipped"],
  ["deadAddress", "Dead address", "dead"],
  ["failed", "Failed", "failed"],
  ["unknown", "Unknown", "failed"],
  ["expired", "Expired", "failed"],
] as const;

/** How far it has come: a bar of all outcomes, and each in figures. */
export function Progress({ tally, isOver }: { tally: TallyFragment; isOver: boolean }) {
  const all = tally.deliveries ?? 0;
  const done = all - (tally.pending ?? 0);
  const shown = PARTS.filter(([name]) => (tally[name] ?? 0) > 0);
  return (
    <div className="progress">
      <ProgressBar value={all === 0 ? (isOver ? 100 : 0) : (100 * done) / all}>
        <Label>
          {counted(tally.recipients, "recipient")}, {counted(all, "device")}
          {isOver ? "" : `, ${count(done)} done`}
        </Label>
        <svg className="parts" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
          {shown.map(([name, , series], index) => {
            const before = shown
              .slice(0, index)
              .reduce((sum, [other]) => sum + (tally[other] ?? 0), 0);
            return (
              <rect
                key={name}
                x={(100 * before) / all}
                width={(100 * (tally[name] ?? 0)) / all}
                height="1"
                fill={`var(--series-${series})`}
              />
            );
          })}
        </svg>
      </ProgressBar>
      <ul className="legend">
        {shown.map(([name, label, series]) => (
          <li key={name}>
            <span className="swatch" data-series={series} aria-hidden="true" />
            {label} <strong>{count(tally[name])}</strong>
            {name === "accepted" && tally.acknowledged
              ? ` (${count(tally.acknowledged)} acknowledged)`
              : ""}
          </li>
        ))}
      </ul>
    </div>
  );
}
