import { describeRule } from "../support/rules.ts";

describeRule("table_without_policies", [
  {
    title: "an exposed table whose policies are gone is found; one that is not exposed is meant so",
    clean: `create table app_private.things (id int);
      alter table app_private.things enable row level security`,
    violation: `drop policy select_own on app_public.notes;
      drop policy insert_own on app_public.notes`,
    finds: ["app_public.notes"],
    mend: "create policy select_all on app_public.notes for select to howdah_user using (true)",
  },
]);
