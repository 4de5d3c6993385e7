import { describeRule } from "../support/rules.ts";

describeRule("column_level_select", [
  {
    title: "a select by columns is found, unless the whole table is granted besides",
    clean: "grant select (id) on app_public.notes to howdah_user",
    violation: "grant select (id) on app_public.notes to howdah_anonymous",
    finds: ["app_public.notes"],
    mend: "grant select on app_public.notes to howdah_anonymous",
  },
]);
