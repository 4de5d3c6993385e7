import { SchemaTablesDocument } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Page } from "../ui/page.tsx";
import { Answered } from "../ui/states.tsx";

interface Column {
  name: string;
  type: string;
  isRequired: boolean;
  isKey: boolean;
  references: string | null;
}

/** The tables of the API and what they refer to, from PostgreSQL's catalogue. */
export default function Schema() {
  const answer = useLiveQuery(SchemaTablesDocument, {});
  return (
    <Page title="Schema" lead="The tables behind the API, and what they refer to.">
      <Answered answer={answer}>
        {({ schemaTables }) => (
          <ul className="tables">
            {schemaTables?.nodes.map(
              (table) =>
                table && (
                  <li key={table.name} className="card" id={table.name ?? undefined}>
                    <h2>{table.name}</h2>
                    <p className="muted">{table.description}</p>
                    <table className="columns">
                      <thead className="hidden">
                        <tr>
                          <th scope="col">Column</th>
                          <th scope="col">Type</th>
                          <th scope="col">Refers to</th>
                        </tr>
                      </thead>
                      <tbody>
                        {(table.columns as Column[]).map((column) => (
                          <tr key={column.name}>
                            <th scope="row" data-key={column.isKey || undefined}>
                              {column.name}
                            </th>
                            <td className="muted">
                              {column.type.replace("app_public.", "")}
                              {column.isRequired ? "" : "?"}
                            </td>
                            <td>{column.references && <Reference to={column.references} />}</td>
                          </tr>
                        ))}
                      </tbody>
                    </table>
                  </li>
                ),
            )}
          </ul>
        )}
      </Answered>
    </Page>
  );
}

function Reference({ to }: { to: string }) {
  const name = to.replace("app_public.", "");
  return <a href={`#${name}`}>→ {name}</a>;
}
