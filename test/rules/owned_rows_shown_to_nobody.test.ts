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
    title: "a comment says why all may see them",
    violation: `create policy select_any on app_public.notes for select to howdah_anonymous
        using (true);
      grant select on app_public.notes to howdah_anonymous`,
    finds: ["app_public.notes.select_any"],
    mend: `comment on policy select_any on app_public.notes is
      '@allow owned_rows_shown_to_nobody because it is a wall'`,
  },
]);
