import { describeRule } from "../support/rules.ts";

describeRule("view_without_security_invoker", [
  {
    title: "a view that reads with its owner's rights is found",
    clean: `create view app_public.mine with (security_invoker) as
        select id from app_public.notes;
      create view app_public.mine_too with (security_invoker = 'T') as
        select id from app_public.notes`,
    violation: `create view app_public.everybodys as select id from app_public.notes;
      create view app_public.open with (security_invoker = 'f') as select id from app_public.notes`,
    finds: ["app_public.everybodys", "app_public.open"],
  },
  {
    title: "so is one of a schema that a request can reach by what it was granted",
    violation: `create schema reports;
      create view reports.all_users as select email from app_public.users;
      grant select on reports.all_users to howdah_user;
      create view app_public.everybody with (security_invoker) as
        select email from reports.all_users;
      grant select on app_public.everybody to howdah_user`,
    finds: ["reports.all_users"],
  },
  {
    title: "so is a materialized view that a client may read",
    clean: "create materialized view app_public.counts as select count(*) from app_public.notes",
    violation: `grant select on app_public.counts to howdah_user;
      create materialized view public.all_users as select email from app_public.users;
      grant select on public.all_users to howdah_user`,
    finds: ["app_public.counts", "public.all_users"],
    mend: "revoke select on app_public.counts, public.all_users from howdah_user",
  },
]);
