import { describeRule } from "../support/rules.ts";

describeRule("policy_calls_function_per_row", [
  {
    title: "a function that is called for each row is found",
    clean: `create policy select_recent on app_public.notes for select to howdah_user
      using (now() > '2000-01-01' and app_hidden.is_time_zone(body))`,
    violation: `create policy select_bare on app_public.notes for select to howdah_user
      using (user_id = app_public.current_user_id())`,
    finds: ["app_public.notes.select_bare"],
    mend: `alter policy select_bare on app_public.notes
      using (user_id = (select app_public.current_user_id()))`,
  },
  {
    title: "so is one in a with check, one beside a cast, and current_setting()",
    violation: `create policy update_own on app_public.notes for update to howdah_user
      using (true) with check (user_id = current_setting('jwt.claims.user_id')::int)`,
    finds: ["app_public.notes.update_own"],
    mend: `alter policy update_own on app_public.notes
      with check (user_id = (select current_setting('jwt.claims.user_id')::int))`,
  },
  {
    title: "a sub-select that looks at the row is evaluated for each; one that does not is not",
    clean: `create policy select_known on app_public.notes for select to howdah_user
      using (user_id in (select u.id from app_public.users u
        where u.id = app_public.current_user_id()))`,
    violation: `create policy select_shared on app_public.notes for select to howdah_user
      using (exists (select from app_public.users u
        where u.id = notes.user_id and u.id = app_public.current_user_id()))`,
    finds: ["app_public.notes.select_shared"],
    mend: `alter policy select_shared on app_public.notes
      using (exists (select from app_public.users u
        where u.id = notes.user_id and u.id = (select app_public.current_user_id())))`,
  },
  {
    title: "a sub-select in a from clause runs as often as its query does",
    violation: `create policy select_deep on app_public.notes for select to howdah_user
      using (exists (
        select from (select id from app_public.users where id = app_public.current_user_id()) u
        where u.id = notes.user_id))`,
    finds: ["app_public.notes.select_deep"],
    mend: `alter policy select_deep on app_public.notes using (notes.user_id in (
      select u.id from (select id from app_public.users where id = app_public.current_user_id()) u))`,
  },
]);
