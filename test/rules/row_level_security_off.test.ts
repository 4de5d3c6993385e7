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
]);
