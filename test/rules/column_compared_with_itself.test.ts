import { describeRule } from "../support/rules.ts";

const TEAMS = `
  create table app_public.members (team_id int not null, user_id int not null);
  create table app_public.docs (id int, team_id int, body text);`;

describeRule("column_compared_with_itself", [
  {
    title: "a name in a sub-select that is its own table's is found, and not one of two tables",
    clean: `${TEAMS}
      create policy select_team on app_public.docs for select to howdah_user using (exists (
        select from app_public.members m
        where m.team_id = docs.team_id and m.user_id = (select app_public.current_user_id())
      ));
      create policy select_odd on app_public.docs for select to howdah_user
        using (body = 'team_id = team_id' and id = team_id)`,
    violation: `create policy select_any on app_public.docs for select to howdah_user using (exists (
        select from app_public.members m
        where m.team_id = team_id and m.user_id = (select app_public.current_user_id())
      ));
      create policy insert_any on app_public.docs for insert to howdah_user with check (id >= id)`,
    finds: ["app_public.docs.insert_any", "app_public.docs.select_any"],
    mend: `drop policy insert_any on app_public.docs;
      alter policy select_any on app_public.docs using (exists (
        select from app_public.members m where m.team_id = docs.team_id
      ))`,
  },
]);
