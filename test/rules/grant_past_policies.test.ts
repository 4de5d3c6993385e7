import { describeRule } from "../support/rules.ts";

describeRule("grant_past_policies", [
  {
    title: "truncate is found, and what grant all gives besides",
    clean: "grant delete on app_public.notes to howdah_user",
    violation: `grant truncate on app_public.notes to howdah_user;
      grant trigger on app_public.notes to public;
      grant references (id) on app_public.notes to howdah_operator`,
    finds: ["app_public.notes", "app_public.notes", "app_public.notes"],
  },
]);
