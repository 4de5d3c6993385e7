import { describeRule } from "../support/rules.ts";

describeRule("owner_column_unchecked", [
  {
    title: "an insert in anybody's name is found, but not where the column was not granted",
    clean: `create policy insert_any on app_public.notes for insert to howdah_user
        with check (current_setting('jwt.claims.user_id', true) <> '')`,
    violation: "grant insert (user_id) on app_public.notes to howdah_user",
    finds: ["app_public.notes.insert_any"],
    mend: "revoke insert (user_id) on app_public.notes from howdah_user",
  },
  {
    title: "so is one where it is only said that there is an owner",
    clean: `grant insert (user_id, body) on app_public.notes to howdah_user;
      create policy insert_mine on app_public.notes for insert to howdah_user
        with check (user_id is not null and user_id = (select app_public.current_user_id()))`,
    violation: `create policy insert_any on app_public.notes for insert to howdah_user
      with check (user_id is not null)`,
    finds: ["app_public.notes.insert_any"],
    mend: "drop policy insert_any on app_public.notes",
  },
  {
    title: "so is an update that gives a row away; one held to its using is not",
    clean: `grant update (user_id) on app_public.notes to howdah_user;
      create policy update_own on app_public.notes for update to howdah_user
        using (user_id = (select app_public.current_user_id()))`,
    violation: "alter policy update_own on app_public.notes with check (true)",
    finds: ["app_public.notes.update_own"],
    mend: `alter policy update_own on app_public.notes
      with check (user_id = (select app_public.current_user_id()))`,
  },
  {
    title: "an owner has another name as well; a policy that narrows the others is one",
    clean: `create table app_public.poems (id int, author_id int references app_public.users);
      grant insert on app_public.poems to howdah_user`,
    violation: `create policy insert_own on app_public.poems for insert to public
      with check (id > 0)`,
    finds: ["app_public.poems.insert_own"],
    mend: `create policy insert_only_own on app_public.poems as restrictive for insert to public
      with check (author_id = (select app_public.current_user_id()))`,
  },
]);
