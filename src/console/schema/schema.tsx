import { useMemo } from "react";
import { SchemaTablesDocument, type SchemaTablesQuery } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Page, Section } from "../ui/page.tsx";
import { Answered } from "../ui/states.tsx";
import { Diagram } from "./diagram.tsx";
import { nameOf, type Table } from "./layout.ts";

/** The tables of the API and what they refer to, from PostgreSQL's catalogue. */
export default function Schema() {
  const answer = useLiveQuery(SchemaTablesDocument, {});
  return (
    <Page title="Schema" lead="The tables behind the API, and what they refer to.">
      <Answered answer={answer}>{(data) => <Tables data={data} />}</Answered>
    </Page>
  );
}

function Tables({ data }: { data: SchemaTablesQuery }) {
  // The same tables are the same picture, however often they are asked for.
  const written = JSON.stringify(data.schemaTables?.nodes ?? []);
  const tables = useMemo(
    () => (JSON.parse(written) as (Table | null)[]).filter((table) => table !== null),
    [written],
  );
  return (
    <>
      <Diagram tables={tables} />
      <Section title="Columns">
        <ul className="tables">
          {tables.map((table) => (
            <Card key={table.name} table={table} />
          ))}
        </ul>
      </Section>
    </>
  );
}

function Card({ table }: { table: Table }) {
  return (
    <li className="card" id={table.name}>
      <h3>{table.name}</h3>
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
          {table.columns.map((column) => (
            <tr key={column.name}>
              <th scope="row" data-key={column.isKey || undefined}>
                {column.name}
              </th>
              <td className="muted">
                {nameOf(column.type)}
                {column.isRequired ? "" : "?"}
              </td>
              <td>
                {column.references && (
                  <a href={`#${nameOf(column.references)}`}>→ {nameOf(column.references)}</a>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </li>
  );
}
