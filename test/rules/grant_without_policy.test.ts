import { describeRule } from "../support/rules.ts";

describeRule("grant_without_policy", [
  {
    title:
      "a command without a policy is found for the role that it was granted to, not for those that have its rights",
    violation: "grant delete on app_public.notes to howdah_user",
    finds: ["app_public.notes"],
    mend: "create policy delete_own on app_public.notes for delete to howdah_user using (true)",
  },
  {
    title: "a grant on columns counts, and so does a grant to PUBLIC",
    clean: `create policy update_own on app_public.notes for update to howdah_user using (true);
      create policy select_nobody on app_public.notes for select to howdah_anonymous using (true)`,
    violation: "grant update (body) on app_public.notes to public",
    finds: ["app_public.notes"],
    mend: `revoke update (body) on app_public.notes from public;
      grant update (body) on app_public.notes to howdah_user`,
  },
  {
    title: "a restrictive policy lets nothing through; one for all commands and roles does",
    clean: "create policy all_mine on app_public.notes for all to public using (true)",
    violation: `drop policy all_mine on app_public.notes;
      grant delete on app_public.notes to howdah_operator;
      create policy narrow on app_public.notes as restrictive for delete to howdah_operator
        using (true)`,
    finds: ["app_public.notes"],
    mend: "revoke delete on app_public.notes from howdah_operator",
  },
]);
