import { describeRule } from "../support/rules.ts";

describeRule("default_privileges", [
  {
    title: "rights on tables and functions to come are found, and those on types are not",
    clean: `alter default privileges in schema app_public grant usage on types to howdah_anonymous;
      create schema apart;
      alter default privileges in schema apart grant select on tables to howdah_user`,
    violation: `alter default privileges in schema app_public
        grant select, insert on tables to howdah_anonymous;
      alter default privileges in schema app_hidden grant execute on functions to public`,
    finds: [
      "default privileges of howdah_owner in schema app_hidden",
      "default privileges of howdah_owner in schema app_public",
    ],
  },
  {
    title: "so is what PostgreSQL gives to everybody where nobody has taken it",
    violation: "alter default privileges grant execute on functions to public",
    finds: ["default privileges of howdah_owner"],
  },
]);
