import { describeRule } from "../support/rules.ts";

describeRule("rewrite_rule", [
  {
    title: "a rule that writes for who updates a view is found, and a view alone is not",
    clean: `create view app_public.nicknames with (security_invoker) as
        select id, first_name from app_public.users;
      grant select, update (first_name) on app_public.nicknames to howdah_user`,
    violation: `create rule rename as on update to app_public.nicknames do instead
      update app_public.users set first_name = new.first_name where id = old.id`,
    finds: ["app_public.nicknames.rename"],
  },
  {
    title: "so is one of a table, and of a schema that nobody has named",
    violation: `create schema reports;
      create table reports.facts (id int);
      grant insert (id) on reports.facts to howdah_user;
      grant usage on schema reports to howdah_user;
      create rule besides as on insert to reports.facts do also
        update app_public.users set first_name = 'x'`,
    finds: ["reports.facts.besides"],
  },
]);
