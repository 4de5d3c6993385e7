import { describeRule } from "../support/rules.ts";

describeRule("inherited_past_policies", [
  {
    title: "a closed table that is read through its parent is found; partitions and others are not",
    clean: `create table app_private.papers (id int);
      create table app_private.old_papers () inherits (app_private.papers);
      create table app_public.pages (id int) partition by list (id);
      create table app_private.page_1 partition of app_public.pages for values in (1);
      grant select on app_public.pages to howdah_user`,
    violation: `create table app_private.old_notes () inherits (app_public.notes);
      alter table app_private.old_notes enable row level security`,
    finds: ["app_private.old_notes"],
  },
]);
