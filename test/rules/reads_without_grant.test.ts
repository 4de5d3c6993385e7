import { describeRule } from "../support/rules.ts";

const TAGS = `
  create table app_public.tags (note_id int not null, user_id int not null, secret text, primary key (note_id, user_id))`;

describeRule("reads_without_grant", [
  {
    title: "a policy that reads a table which its role may not is found, by column",
    clean: `${TAGS};
      grant select (note_id) on app_public.tags to howdah_user, howdah_operator;
      create policy select_tagged on app_public.notes for select to howdah_user
        using (exists (select from app_public.tags t where t.note_id = notes.id))`,
    violation: `create policy select_shared on app_public.notes for select to howdah_user
      using (exists (
        select from app_public.tags t
        where t.note_id = notes.id and t.user_id = (select app_public.current_user_id())
      ))`,
    // Once: howdah_operator has what howdah_user has.
    finds: ["app_public.notes.select_shared"],
    mend: "grant select (user_id) on app_public.tags to howdah_user",
  },
  {
    title: "a view for its caller that reads what the caller may not is found",
    clean: `${TAGS};
      grant select on app_public.tags to howdah_operator;
      create view app_public.notes_of_tags with (security_invoker = true) as
        select note_id, secret from app_public.tags;
      grant select on app_public.notes_of_tags to howdah_operator`,
    violation: "grant select on app_public.notes_of_tags to howdah_user",
    finds: ["app_public.notes_of_tags"],
    mend: "revoke select on app_public.notes_of_tags from howdah_user",
  },
]);
