import type { ReactNode } from "react";
import { Nothing } from "../ui/states.tsx";

/** A plain table. */
export function Rows<T extends { id: number | string | null }>(props: {
  head: string[];
  rows: T[];
  cells: (row: T) => ReactNode[];
  empty: string;
}) {
  const { head, rows, cells, empty } = props;
  if (rows.length === 0) return <Nothing title={empty} />;
  return (
    <div className="table-box">
      <table>
        <thead>
          <tr>
            {head.map((title) => (
              <th scope="col" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              {cells(row).map((cell, index) => (
                <td key={head[index]} className={index === 0 ? "wide" : undefined}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
