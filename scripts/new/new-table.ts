import { parseColumn } from "./columns.ts";
import { checkFree, checkName, NewError } from "./names.ts";
import type { Plan } from "./plan.ts";
import { type NewTable, tableSql } from "./table-sql.ts";
import { tableTest } from "./table-test.ts";

/** `new:table notes --owned-by users --live title:text body:text? done:boolean` */
export async function planTable(
  root: string,
  [given, ...columns]: string[],
  options: { "owned-by"?: string | undefined; live?: boolean | undefined },
): Promise<Plan> {
  const name = checkName(given, "table");
  const owner = options["owned-by"];
  if (owner !== undefined && owner !== "users") {
    throw new NewError(
      `--owned-by ${owner}: rows can belong to users. For others write the policies by hand; items shows how.`,
    );
  }
  await checkFree(root, `app_public.${name}`);
  const table: NewTable = {
    name,
    // An input without a field is none.
    columns: (columns.length > 0 ? columns : ["title:text"]).map((column) =>
      parseColumn(column, name),
    ),
    isOwned: owner === "users",
    isLive: options.live ?? false,
  };
  const names = table.columns.map((column) => column.name);
  const twice = names.find((column, position) => names.indexOf(column) !== position);
  if (twice !== undefined) throw new NewError(`There are two columns ${twice}.`);
  return {
    object: `app_public.${name}`,
    sql: tableSql(table),
    files: { [`test/sql/${name}.test.ts`]: tableTest(table) },
    next: [
      ...renamed(columns, names),
      `npm test -- test/sql/${name}.test.ts   and, once it is as you want it: npm run db:access`,
    ],
  };
}

/** What was not taken as it was given, by our conventions. */
function renamed(given: string[], names: string[]): string[] {
  return given.flatMap((argument, position) => {
    const [before] = argument.split(/[:?]/);
    const name = names[position];
    return before === name
      ? []
      : [
          `The column ${before} is named ${name}, as booleans are is_ or has_ and times end with _at.`,
        ];
  });
}
