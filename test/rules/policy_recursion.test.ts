import { describeRule } from "../support/rules.ts";

const TEAM = `
  create table app_public.members (
    team_id int not null, user_id int not null references app_public.users, primary key (team_id, user_id)
  );
  alter table app_public.members enable row level security;
  grant select on app_public.members to howdah_user;`;

describeRule("policy_recursion", [
  {
    title: "a policy that reads its own table is found, one by a security definer function is not",
    clean: `${TEAM}
      create policy select_own on app_public.members for select to howdah_user
        using (user_id = (select app_public.current_user_id()))`,
    violation: `create policy select_team on app_public.members for select to howdah_user
      using (team_id in (
        select m.team_id from app_public.members m where m.user_id = (select app_public.current_user_id())
      ))`,
    finds: ["app_public.members.select_team"],
    mend: `drop policy select_team on app_public.members;
      create function app_hidden.my_teams() returns setof int
      language sql stable security definer set search_path = pg_catalog, pg_temp
      as $$ select m.team_id from app_public.members m
        where m.user_id = app_public.current_user_id() $$;
      create policy select_team on app_public.members for select to howdah_user
        using (team_id in (select app_hidden.my_teams()))`,
  },
  {
    title: "a limit of rows in a policy for insert is found: it reads its own table, too",
    clean: `${TEAM}
      create policy select_own on app_public.members for select to howdah_user
        using (user_id = (select app_public.current_user_id()));
      create policy insert_own on app_public.members for insert to howdah_user
        with check (user_id = (select app_public.current_user_id()));
      grant insert on app_public.members to howdah_user`,
    violation: `alter policy insert_own on app_public.members with check (
        user_id = (select app_public.current_user_id())
        and (select count(*) from app_public.members o where o.user_id = (select app_public.current_user_id())) < 10
      )`,
    finds: ["app_public.members.insert_own"],
    mend: "alter policy insert_own on app_public.members with check (user_id = (select app_public.current_user_id()))",
  },
  {
    title: "policies of two tables that read each other are found, also by way of a view",
    clean: `${TEAM}
      create view app_public.member_ids with (security_invoker = true) as select user_id from app_public.members;
      create policy select_all on app_public.members for select to howdah_user using (true);
      create policy select_of_members on app_public.notes for select to howdah_user
        using (user_id in (select user_id from app_public.member_ids))`,
    violation: `create policy select_writers on app_public.members for select to howdah_user
      using (exists (select from app_public.notes n where n.user_id = members.user_id))`,
    finds: ["app_public.members.select_writers", "app_public.notes.select_of_members"],
    mend: "drop policy select_writers on app_public.members",
  },
  {
    title: "policies that do not hold for the same role do not meet",
    clean: `${TEAM}
      grant select on app_public.members to howdah_anonymous;
      create policy select_writers on app_public.members for select to howdah_anonymous
        using (exists (select from app_public.notes n where n.user_id = members.user_id))`,
    violation: `create policy select_of_members on app_public.notes for select to public
      using (user_id in (select user_id from app_public.members))`,
    finds: ["app_public.members.select_writers", "app_public.notes.select_of_members"],
    mend: `drop policy select_of_members on app_public.notes;
      create policy select_of_members on app_public.notes for select to howdah_user
        using (user_id in (select user_id from app_public.members))`,
  },
]);
