import { SAMPLES } from "./columns.ts";
import { checkFree, checkName, NewError, wordsOf } from "./names.ts";
import type { Plan } from "./plan.ts";

interface NewFunction {
  name: string;
  args: { name: string; type: string }[];
  returns: string;
  isVolatile: boolean;
}

/** `new:function greet name:text --returns text`, or with `--volatile` for a mutation. */
export async function planFunction(
  root: string,
  [given, ...args]: string[],
  options: { returns?: string | undefined; volatile?: boolean | undefined },
): Promise<Plan> {
  const name = checkName(given, "function");
  await checkFree(root, `app_public.${name}`);
  const made: NewFunction = {
    name,
    args: args.map(parseArgument),
    returns: checkType(options.returns ?? "text", "--returns"),
    isVolatile: options.volatile ?? false,
  };
  return {
    object: `app_public.${name}`,
    sql: functionSql(made),
    files: { [`test/sql/${name}.test.ts`]: functionTest(made) },
    next: [
      `npm test -- test/sql/${name}.test.ts   and, once it is as you want it: npm run db:access`,
    ],
  };
}

function parseArgument(argument: string): { name: string; type: string } {
  const [name, type = "text", ...rest] = argument.split(":");
  if (rest.length > 0) throw new NewError(`${argument}: write an argument as name:type.`);
  return { name: checkName(name, "argument"), type: checkType(type, argument) };
}

function checkType(type: string, where: string): string {
  if (/^(setof )?[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?(\[\])?$/.test(type)) return type;
  throw new NewError(`${where}: "${type}" is no type, such as text, int[] or app_public.items.`);
}

function functionSql({ name, args, returns, isVolatile }: NewFunction): string {
  const title = `app_public.${name}`;
  const taken = args.map((arg) => `${arg.name} ${arg.type}`).join(", ");
  const types = args.map(({ type }) => type).join(", ");
  const strict = args.length > 0 && args.every(({ type }) => sampleOf(type)) ? " strict" : "";
  const [kind, rows] = /^setof /.test(returns)
    ? [returns.replace("setof ", ""), " where false"]
    : [returns, ""];
  const body = isVolatile
    ? `language plpgsql volatile
as $$
begin
  raise exception '${name} is not written yet.' using errcode = 'feature_not_supported';
end;
$$;`
    : `language sql stable${strict} parallel safe
as $$
  -- Not written yet.
  select null::${kind}${rows};
$$;`;
  return `-- ${wordsOf(name)}: why there is such a function.

drop function if exists ${title};

create function ${title}(${taken}) returns ${returns}
${body}

comment on function ${title}(${types}) is '${isVolatile ? "What it does" : "What it answers"}, in a sentence.';
grant execute on function ${title}(${types}) to :DATABASE_USER;
`;
}

/** Some value. A null would do only where the function is not strict: for that one nobody is asked. */
function sampleOf(type: string): string | undefined {
  if (type.endsWith("[]")) return "'{}'";
  return Object.hasOwn(SAMPLES, type) ? SAMPLES[type]?.[0] : undefined;
}

function functionTest({ name, args, isVolatile, returns }: NewFunction): string {
  const values = args.map(({ type }) => `${sampleOf(type) ?? "null"}::${type}`).join(", ");
  const call = `select app_public.${name}(${values})`;
  const rowCount = /^setof /.test(returns) ? 0 : 1;
  const [uses, tests] = isVolatile
    ? [
        "asUser, asAnonymous, createUser",
        `it("is not written yet", async () => {
    await expect(asUser(user, CALL)).rejects.toMatchObject({ code: "0A000" });
  });

  it("is for who has logged in", async () => {
    // Once it is written: expectDenied(asAnonymous(CALL), "permission denied")
    await expect(asAnonymous(CALL)).rejects.toMatchObject({ code: "42501" });
  });`,
      ]
    : [
        "asUser, asAnonymous, createUser, expectDenied",
        `it("answers a user", async () => {
    expect((await asUser(user, CALL)).rowCount).toBe(${rowCount});
  });

  it("is for who has logged in", () => expectDenied(asAnonymous(CALL), "permission denied"));`,
      ];
  return `import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const { ${uses} } = useKit();
const CALL = ${JSON.stringify(call)};
let user: number;

beforeAll(async () => {
  user = await createUser();
});

describe(${JSON.stringify(`${name}()`)}, () => {
  ${tests}
});
`;
}
