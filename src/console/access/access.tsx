import { useEffect, useState } from "react";
import { useClient } from "urql";
import { AccessRulesDocument, type AccessRulesQuery } from "../graphql/generated.ts";
import { type Problem, toProblem } from "../graphql/problem.ts";
import { Page } from "../ui/page.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { TableBox } from "../ui/table-box.tsx";

type Rule = NonNullable<NonNullable<AccessRulesQuery["accessRules"]>["nodes"][number]>;

const ROLES = ["anonymous", "user", "operator"];
const COMMANDS = ["select", "insert", "update", "delete"];

/** Who may do what, as PostgreSQL's own catalogue says. */
export default function Access() {
  const { rules, problem } = useRules();
  const [chosen, setChosen] = useState<Rule>();
  const tables = [...new Set(rules?.map(({ tableName }) => tableName as string))];
  const find = (table: string, role: string, command: string) =>
    rules?.find((r) => r.tableName === table && r.role === role && r.command === command);
  return (
    <Page
      title="Access"
      lead="Who may do what with which table: privileges and row-level security, from the catalogue. Functions have rights of their own."
    >
      {problem && <Failure problem={problem} />}
      {!rules && !problem && <Loading />}
      {rules && (
        <>
          <ul className="legend">
            <li>
              <span className="mark" data-access="all" aria-hidden="true" /> every row
            </li>
            <li>
              <span className="mark" data-access="some" aria-hidden="true" /> some rows, by a rule
            </li>
            <li>
              <span className="mark" data-access="none" aria-hidden="true" /> none
            </li>
          </ul>
          <p className="rule" role="status">
            {chosen ? (
              <code>{inWords(chosen)}</code>
            ) : (
              <span className="muted">Point at a mark, or go to it by Tab, to read its rule.</span>
            )}
          </p>
          <TableBox label="Access matrix">
            <table className="matrix">
              <thead>
                <tr>
                  <th scope="col" rowSpan={2}>
                    Table
                  </th>
                  {ROLES.map((role) => (
                    <th key={role} scope="colgroup" colSpan={COMMANDS.length}>
                      {role}
                    </th>
                  ))}
                </tr>
                <tr>
                  {ROLES.flatMap((role) =>
                    COMMANDS.map((command) => (
                      <th key={`${role} ${command}`} scope="col">
                        {command}
                      </th>
                    )),
                  )}
                </tr>
              </thead>
              <tbody>
                {tables.map((table) => (
                  <tr key={table}>
                    <th scope="row">{table}</th>
                    {ROLES.flatMap((role) =>
                      COMMANDS.map((command) => (
                        <Cell
                          key={`${role} ${command}`}
                          rule={find(table, role, command)}
                          chosen={chosen}
                          onChoose={setChosen}
                        />
                      )),
                    )}
                  </tr>
                ))}
              </tbody>
            </table>
          </TableBox>
        </>
      )}
    </Page>
  );
}

function Cell(props: {
  rule: Rule | undefined;
  chosen: Rule | undefined;
  onChoose: (rule: Rule) => void;
}) {
  const { rule, chosen, onChoose } = props;
  const access = !rule?.isGranted ? "none" : rule.rule === null ? "all" : "some";
  const mark = <span className="mark" data-access={access} aria-hidden="true" />;
  if (!rule || access === "none") {
    return (
      <td>
        {mark}
        <span className="hidden">no</span>
      </td>
    );
  }
  return (
    <td>
      <button
        type="button"
        className="mark-button"
        data-chosen={chosen === rule || undefined}
        aria-label={`${access === "all" ? "every row" : "some rows"}: ${rule.role} may ${rule.command} ${rule.tableName}`}
        onClick={() => onChoose(rule)}
        onFocus={() => onChoose(rule)}
        onMouseEnter={() => onChoose(rule)}
      >
        {mark}
      </button>
    </td>
  );
}

function inWords({ role, command, tableName, columns, rule }: Rule): string {
  const rows = rule === null ? "every row" : `the rows where ${rule}`;
  const of = columns ? ` (${columns.join(", ")})` : "";
  return `${role} may ${command} ${tableName}${of}: ${rows}`;
}

function useRules() {
  const client = useClient();
  const [rules, setRules] = useState<Rule[]>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    let isWanted = true;
    (async () => {
      const all: Rule[] = [];
      for (let hasMore = true; hasMore; ) {
        const { data, error } = await client
          .query(AccessRulesDocument, { offset: all.length })
          .toPromise();
        if (error) throw error;
        all.push(...(data?.accessRules?.nodes ?? []).filter((rule) => rule !== null));
        hasMore = Boolean(data?.accessRules?.pageInfo.hasNextPage);
      }
      if (isWanted) setRules(all);
    })().catch((error) => isWanted && setProblem(toProblem(error)));
    return () => {
      isWanted = false;
    };
  }, [client]);
  return { rules, problem };
}
