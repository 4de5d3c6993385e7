import { describeRule } from "../support/rules.ts";

describeRule("insert_update_without_column_list", [
  {
    title: "a grant to write the whole table is found",
    clean: "grant update (body), delete on app_public.notes to howdah_operator",
    violation: `grant insert on app_public.notes to howdah_user;
      grant update on app_public.notes to public`,
    finds: ["app_public.notes", "app_public.notes"],
    mend: `revoke insert on app_public.notes from howdah_user;
      revoke update on app_public.notes from public`,
  },
]);
