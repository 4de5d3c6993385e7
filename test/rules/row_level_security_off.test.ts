import { describeRule } from "../support/rules.ts";

describeRule("row_level_security_off", [
  {
    title: "a table without row-level security is found",
    violation: "alter table app_public.notes disable row level security",
    finds: ["app_public.notes"],
  },
  {
    title: "so is a table of an internal schema, and each partition, which can be read directly",
    clean: `create table app_private.parts (id int) partition by list (id);
      alter table app_private.parts enable row level security`,
    violation: `create table app_private.part_1 partition of app_private.parts for values in (1);
      create table app_hidden.things (id int)`,
    finds: ["app_hidden.things", "app_private.part_1"],
  },
  {
    title: "so is one of any schema that a request can reach, public included, and no other",
    clean: `create schema apart;
      create table apart.facts (id int)`,
    violation: `create schema reports;
      grant usage on schema reports to howdah_user;
      create table reports.facts (id int);
      create schema hidden_away;
      create table hidden_away.facts (id int);
      grant all on hidden_away.facts to public;
      create table public.facts (id int)`,
    finds: ["hidden_away.facts", "public.facts", "reports.facts"],
  },
]);
