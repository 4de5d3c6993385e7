import { wordsOf } from "./names.ts";
import type { NewTable } from "./table-sql.ts";

/** The first tests of a table: who may what. */
export function tableTest(table: NewTable): string {
  return table.isOwned ? ownedTest(table) : sharedTest(table);
}

/** What the tests do to the one row there is. */
function statements({ name, columns }: NewTable) {
  const [first] = columns;
  return {
    read: `select id from app_public.${name}`,
    change: `update app_public.${name} set ${first?.name} = ${first?.samples[1]}`,
    remove: `delete from app_public.${name}`,
    names: columns.map((column) => column.name).join(", "),
    values: columns.map(({ samples }) => samples[0]).join(", "),
  };
}

const text = JSON.stringify;

function ownedTest(table: NewTable): string {
  const { name } = table;
  const { read, change, remove, names, values } = statements(table);
  return `import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const { asUser, asAnonymous, asOwner, createUser, expectDenied } = useKit();
const READ = ${text(read)};
const CHANGE = ${text(change)};
const DELETE = ${text(remove)};
const INSERT = ${text(`insert into app_public.${name} (${names}) values (${values})`)};
const GIVEN = ${text(`insert into app_public.${name} (user_id, ${names}) values ($1, ${values})`)};
let owner: number;
let stranger: number;

beforeAll(async () => {
  owner = await createUser();
  stranger = await createUser();
  await asOwner(GIVEN, [owner]);
});

describe(${text(wordsOf(name))}, () => {
  it.each([READ, CHANGE, DELETE])("their owner may: %s", async (statement) => {
    expect((await asUser(owner, statement)).rowCount).toBe(1);
  });

  it.each([READ, CHANGE, DELETE])("a stranger sees none: %s", (statement) =>
    expectDenied(asUser(stranger, statement), "no rows"),
  );

  it.each([READ, CHANGE, DELETE])("nobody may: %s", (statement) =>
    expectDenied(asAnonymous(statement), "permission denied"),
  );

  it("nobody may create one", () =>
    expectDenied(asAnonymous(GIVEN, [owner]), "permission denied"));

  it("nobody may create one for somebody else", () =>
    expectDenied(asUser(stranger, GIVEN, [owner]), "permission denied"));

  it("belong to who creates them", async () => {
    const { rows } = await asUser(stranger, \`\${INSERT} returning user_id\`);
    expect(rows).toEqual([{ user_id: stranger }]);
  });

  it.each([
    ["user_id", "user_id"],
    ["created_at", "now()"],
    ["updated_at", "now()"],
  ])("their column %s is not their owner's to set", (column, value) =>
    expectDenied(
      asUser(owner, \`update app_public.${name} set \${column} = \${value}\`),
      "permission denied",
    ),
  );
});
`;
}

function sharedTest(table: NewTable): string {
  const { name } = table;
  const { read, change, remove, names, values } = statements(table);
  return `import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const { asUser, asOperator, asAnonymous, asOwner, createUser, createOperator, expectDenied } =
  useKit();
const READ = ${text(read)};
const CHANGE = ${text(change)};
const DELETE = ${text(remove)};
const INSERT = ${text(`insert into app_public.${name} (${names}) values (${values})`)};
let user: number;
let operator: number;

beforeAll(async () => {
  user = await createUser();
  operator = await createOperator();
  await asOwner(INSERT);
});

describe(${text(wordsOf(name))}, () => {
  it("are read by every user", async () => {
    expect((await asUser(user, READ)).rowCount).toBe(1);
  });

  it.each([READ, CHANGE, DELETE, INSERT])("an operator may: %s", async (statement) => {
    expect((await asOperator(operator, statement)).rowCount).toBe(1);
  });

  it.each([CHANGE, DELETE, INSERT])("a user may not: %s", (statement) =>
    expectDenied(asUser(user, statement), "permission denied"),
  );

  it.each([READ, CHANGE, DELETE, INSERT])("nobody may: %s", (statement) =>
    expectDenied(asAnonymous(statement), "permission denied"),
  );
});
`;
}
