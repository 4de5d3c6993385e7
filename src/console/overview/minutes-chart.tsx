import { Bar, BarChart, CartesianGrid, Tooltip, XAxis, YAxis } from "recharts";
import type { OverviewQuery } from "../graphql/generated.ts";
import { count } from "../ui/status.tsx";
import { atMinute } from "../ui/when.tsx";

type Minute = NonNullable<NonNullable<OverviewQuery["pushMinutes"]>["nodes"][number]>;

const SERIES = [
  ["accepted", "Accepted"],
  ["waiting", "Waiting"],
  ["skipped", "Skipped or canceled"],
  ["dead", "Dead address"],
  ["failed", "Failed"],
] as const;

const TOOLTIP = {
  background: "var(--surface)",
  border: "1px solid var(--line-strong)",
  borderRadius: "var(--radius)",
};

/** Stacked bars; the sums stand in words beside the colours. */
export default function MinutesChart({ minutes }: { minutes: Minute[] }) {
  const data = minutes.map((minute) => ({
    ...minute,
    at: atMinute(new Date(minute.startsAt as string)),
  }));
  const sum = (name: (typeof SERIES)[number][0]) =>
    minutes.reduce((total, minute) => total + (minute[name] ?? 0), 0);
  const total = SERIES.reduce((all, [name]) => all + sum(name), 0);
  return (
    <figure className="chart">
      <figcaption>
        <ul className="legend">
          {SERIES.map(([name, label]) => (
            <li key={name}>
              <span className="swatch" data-series={name} aria-hidden="true" />
              {label} <strong>{count(sum(name))}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div className="chart-area">
        <BarChart
          responsive
          width="100%"
          height={220}
          data={data}
          barCategoryGap={1}
          title={`${count(total)} pushes in the last hour`}
        >
          <CartesianGrid vertical={false} />
          <XAxis dataKey="at" tickLine={false} axisLine={false} minTickGap={48} />
          <YAxis
            allowDecimals={false}
            tickLine={false}
            axisLine={false}
            width={44}
            tickFormatter={count}
          />
          <Tooltip
            cursor={{ className: "chart-cursor" }}
            contentStyle={TOOLTIP}
            itemStyle={{ color: "var(--text)" }}
            isAnimationActive={false}
          />
          {SERIES.map(([name, label]) => (
            <Bar
              key={name}
              dataKey={name}
              name={label}
              stackId="outcome"
              className={`bar-${name}`}
              fill={`var(--series-${name})`}
              isAnimationActive={false}
            />
          ))}
        </BarChart>
      </div>
    </figure>
  );
}
