import { useMemo, useState } from "react";
import { TableBox } from "../ui/table-box.tsx";
import { type Arrow, arrange, type Box, HEAD, ROW, type Table } from "./layout.ts";

/** The tables with their keys, and an arrow for each reference; a table in focus brings its own forward. */
export function Diagram({ tables }: { tables: readonly Table[] }) {
  const { boxes, arrows, width, height } = useMemo(() => arrange(tables), [tables]);
  const [chosen, setChosen] = useState<string>();
  const isNear = (name: string) =>
    chosen === undefined ||
    name === chosen ||
    arrows.some(({ from, to }) => [from, to].includes(chosen) && [from, to].includes(name));
  return (
    <TableBox label="Diagram of the tables and what they refer to">
      {/* biome-ignore lint/a11y/noSvgWithoutTitle: a title would cover the picture as a tooltip */}
      <svg
        className="diagram"
        viewBox={`0 0 ${width} ${height}`}
        style={{ "--width": `${width / 16}rem` } as React.CSSProperties}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="8"
            refY="4"
            markerWidth="8"
            markerHeight="8"
            orient="auto-start-reverse"
          >
            <path d="M 0 0 L 8 4 L 0 8 z" />
          </marker>
        </defs>
        {arrows.map((arrow) => (
          <Line
            key={`${arrow.from} ${arrow.path}`}
            arrow={arrow}
            isChosen={chosen !== undefined && [arrow.from, arrow.to].includes(chosen)}
            isDim={chosen !== undefined && ![arrow.from, arrow.to].includes(chosen)}
          />
        ))}
        {boxes.map((box) => (
          <Entity
            key={box.table.name}
            box={box}
            isDim={!isNear(box.table.name)}
            onChoose={setChosen}
          />
        ))}
      </svg>
    </TableBox>
  );
}

function Line({ arrow, isChosen, isDim }: { arrow: Arrow; isChosen: boolean; isDim: boolean }) {
  return (
    <path
      className="arrow"
      d={arrow.path}
      markerEnd="url(#arrow)"
      data-chosen={isChosen || undefined}
      data-dim={isDim || undefined}
    />
  );
}

function Entity(props: { box: Box; isDim: boolean; onChoose: (name: string | undefined) => void }) {
  const { box, isDim, onChoose } = props;
  const { table, columns, x, y, width, height } = box;
  const choose = () => onChoose(table.name);
  const leave = () => onChoose(undefined);
  return (
    <g transform={`translate(${x} ${y})`}>
      <a
        href={`#${table.name}`}
        className="entity"
        data-dim={isDim || undefined}
        onMouseEnter={choose}
        onMouseLeave={leave}
        onFocus={choose}
        onBlur={leave}
      >
        <rect width={width} height={height} rx="7" className="entity-box" />
        <text x="12" y={HEAD / 2 + 5} className="entity-name">
          {table.name}
        </text>
        {columns.map((column, index) => (
          <text key={column.name} x="12" y={HEAD + index * ROW + 13} className="entity-column">
            {column.name}
            {column.isKey && <tspan className="entity-key"> key</tspan>}
            {column.references && <tspan className="entity-key"> →</tspan>}
          </text>
        ))}
      </a>
    </g>
  );
}
