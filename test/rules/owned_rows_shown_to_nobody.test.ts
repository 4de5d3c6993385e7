import { describeRule } from "../support/rules.ts";

describeRule("owned_rows_shown_to_nobody", [
  {
    title: "rows of users that everybody sees are found; those that are published are not",
    clean: `create policy select_published on app_public.notes for select to howdah_anonymous
        using (body like 'Dear all%');
      create policy select_all on app_public.notes for select to howdah_user using (true);
      create table app_public.countries (id int);
      create policy select_all on app_public.countries for select to public using (true);
      grant select on app_public.countries, app_public.notes to public`,
    violation: "create policy select_any on app_public.notes for select to public using (true)",
    finds: ["app_public.notes.select_any"],
    mend: "alter policy select_any on app_public.notes to howdah_user",
  },
  {
    title: "rows that everybody sees who is nobody are found; a condition beside it is one",
    clean: `grant select on app_public.notes to howdah_anonymous;
      create policy select_published on app_public.notes for select to howdah_anonymous
        using ((select app_public.current_user_id()) is null and body like 'Dear all%')`,
    violation: `create policy select_any on app_public.notes for select to howdah_anonymous, howdah_user
        using (user_id = (select app_public.current_user_id()) or (select app_public.current_user_id()) is null);
      create policy select_other on app_public.notes for select to howdah_anonymous
        using (app_public.current_user_id() is null or user_id = 1)`,
    finds: ["app_public.notes.select_any", "app_public.notes.select_other"],
    mend: `drop policy select_other on app_public.notes;
      alter policy select_any on app_public.notes using (user_id = (select app_public.current_user_id()))`,
  },
  {
    title: "a comment says why all may see them",
    violation: `create policy select_any on app_public.notes for select to howdah_anonymous
        using (true);
      grant select on app_public.notes to howdah_anonymous`,
    finds: ["app_public.notes.select_any"],
    mend: `comment on policy select_any on app_public.notes is
      '@allow owned_rows_shown_to_nobody because it is a wall'`,
  },
]);
