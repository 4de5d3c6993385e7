import { describeRule } from "../support/rules.ts";

describeRule("policy_without_grant", [
  {
    title: "a policy for a command that was never granted is found",
    violation: `create policy delete_own on app_public.notes for delete to howdah_user using (true);
      create policy update_all on app_public.notes for update to public using (true)`,
    finds: ["app_public.notes.delete_own", "app_public.notes.update_all"],
    mend: `grant delete on app_public.notes to howdah_operator;
      grant update (body) on app_public.notes to howdah_user`,
  },
  {
    title: "a policy for all commands needs one of them",
    clean: "create policy all_of_it on app_public.notes for all to howdah_user using (true)",
    violation: `create policy for_nobody on app_public.notes for all to howdah_anonymous
      using (true)`,
    finds: ["app_public.notes.for_nobody"],
    mend: "drop policy for_nobody on app_public.notes",
  },
]);
