import type { ReactNode } from "react";
import { Link } from "wouter";
import type { NotificationRowFragment } from "../graphql/generated.ts";
import { Status } from "../ui/status.tsx";
import { TableBox } from "../ui/table-box.tsx";
import { SendTime } from "../ui/when.tsx";

/** Notifications in rows; `more` adds a column. */
export function NotificationTable<T extends NotificationRowFragment>(props: {
  rows: T[];
  more?: { title: string; of: (row: T) => ReactNode };
}) {
  const { rows, more } = props;
  return (
    <TableBox label="Notifications">
      <table>
        <thead>
          <tr>
            <th scope="col">Notification</th>
            <th scope="col">Status</th>
            {more && <th scope="col">{more.title}</th>}
            <th scope="col">Goes out</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td className="wide">
                <Link href={`/notifications/${row.id}`} className="row-link">
                  {headline(row)}
                </Link>
                <span className="sub">
                  #{row.id} · {row.event}
                </span>
              </td>
              <td>
                <Status of={row.status} />
              </td>
              {more && <td>{more.of(row)}</td>}
              <td>
                <SendTime {...row} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

/** What a person would call it. */
export function headline(
  row: Pick<NotificationRowFragment, "title" | "message" | "isSilent" | "event">,
) {
  return row.title || row.message || (row.isSilent ? `Silent: ${row.event}` : row.event);
}
