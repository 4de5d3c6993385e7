import type { Column } from "./columns.ts";
import { capitalised, wordsOf } from "./names.ts";

export interface NewTable {
  name: string;
  columns: Column[];
  /** Rows belong to users, who alone see theirs; else all users read them and operators write. */
  isOwned: boolean;
  isLive: boolean;
}

const OWN = "user_id = (select app_public.current_user_id())";

/** The whole paragraph of a table, safe to run twice. */
export function tableSql(table: NewTable): string {
  const { name, columns, isOwned } = table;
  const title = `app_public.${name}`;
  const granted = columns.map((column) => column.name).join(", ");
  const writer = isOwned ? ":DATABASE_USER" : ":DATABASE_OPERATOR";
  return `-- ${capitalised(wordsOf(name))}: ${purpose(table)}

-- At each save it is made anew, and its rows are gone. Without effect where it is migrated the first time.
drop table if exists ${title} cascade;

create table ${title} (
${definitions(table)
  .map((line) => `  ${line}`)
  .join(",\n")}
);

alter table ${title} enable row level security;
${isOwned ? `\ncreate index ${name}_user_id_idx on ${title} (user_id);\n` : ""}
${policies(table)}

grant select on ${title} to :DATABASE_USER;
grant insert (${granted}) on ${title} to ${writer};
grant update (${granted}) on ${title} to ${writer};
grant delete on ${title} to ${writer};

create trigger _100_timestamps
  before insert or update on ${title}
  for each row execute function app_private.tg__timestamps();

${comments(table).join("\n")}
`;
}

function purpose({ isOwned }: NewTable): string {
  return isOwned
    ? "each belongs to a user, who alone sees it."
    : "users read them, operators write.";
}

function definitions({ name, columns, isOwned }: NewTable): string[] {
  const checks = columns.flatMap(({ check }) => (check ? [check] : []));
  return [
    "id int generated always as identity",
    ...(isOwned ? ["user_id int not null default app_public.current_user_id()"] : []),
    ...columns.map(columnSql),
    "created_at timestamptz not null default now()",
    "updated_at timestamptz not null default now()",
    `constraint ${name}_pkey primary key (id)`,
    ...(isOwned
      ? [
          `constraint ${name}_user_id_fkey\n    foreign key (user_id) references app_public.users on delete cascade`,
        ]
      : []),
    ...checks.map((check) => `constraint ${check.name} check (${check.condition})`),
  ];
}

function columnSql({ name, type, isRequired }: Column): string {
  if (!isRequired) return `${name} ${type}`;
  return `${name} ${type} not null${type === "boolean" ? " default false" : ""}`;
}

function policies({ name, isOwned }: NewTable): string {
  const on = (policy: string, command: string, role: string) =>
    `create policy ${policy} on app_public.${name} for ${command} to :DATABASE_${role}`;
  if (!isOwned) {
    return `${on("select_all", "select", "USER")}
  using (true);
${on("insert_operator", "insert", "OPERATOR")}
  with check (true);
${on("update_operator", "update", "OPERATOR")}
  using (true)
  with check (true);
${on("delete_operator", "delete", "OPERATOR")}
  using (true);`;
  }
  return `${on("select_own", "select", "USER")}
  using (${OWN});
${on("insert_own", "insert", "USER")}
  with check (${OWN});
${on("update_own", "update", "USER")}
  using (${OWN})
  with check (${OWN});
${on("delete_own", "delete", "USER")}
  using (${OWN});`;
}

function comments(table: NewTable): string[] {
  const { name, columns, isOwned, isLive } = table;
  const on = (what: string, text: string) => `comment on ${what} is '${text}';`;
  const tags = [
    ...(isOwned
      ? [
          "@allow unshardable_table because its id alone is the look-up of the API; ids come from one sequence, so that (user_id, id) can take its place",
        ]
      : []),
    ...(isLive ? ["@live"] : []),
  ];
  const said = `${capitalised(wordsOf(name))}: ${purpose(table)}`;
  return [
    tags.length === 0
      ? on(`table app_public.${name}`, said)
      : `comment on table app_public.${name} is\n  E'${[...tags, said].join("\\n")}';`,
    ...(isOwned ? [on(`column app_public.${name}.user_id`, "The owner: who created it.")] : []),
    ...columns.map((column) => on(`column app_public.${name}.${column.name}`, column.comment)),
    on(`column app_public.${name}.created_at`, "When it was created."),
    on(`column app_public.${name}.updated_at`, "When it last changed."),
    ...columns.flatMap(({ check }) =>
      check ? [on(`constraint ${check.name} on app_public.${name}`, check.message)] : [],
    ),
  ];
}
