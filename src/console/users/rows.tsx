import type { ReactNode } from "react";
import { Nothing } from "../ui/states.tsx";
import { TableBox } from "../ui/table-box.tsx";

/** A plain table. */
export function Rows<T extends { id: number | string | null }>(props: {
  title: string;
  head: string[];
  rows: T[];
  cells: (row: T) => ReactNode[];
  empty: string;
}) {
  const { title, head, rows, cells, empty } = props;
  if (rows.length === 0) return <Nothing title={empty} />;
  return (
    <TableBox label={title}>
      <table>
        <thead>
          <tr>
            {head.map((name) => (
              <th scope="col" key={name}>
                {name || <span className="hidden">What can be done</span>}
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
    </TableBox>
  );
}
