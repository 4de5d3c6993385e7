import { describeRule } from "../support/rules.ts";

describeRule("exposed_without_grant", [
  {
    title: "a function that no role of a request may call is found",
    clean: `create function app_public.notes_shout(n app_public.notes) returns text language sql
        stable as 'select upper(n.body)';
      grant execute on function app_public.notes_shout to howdah_operator;
      create function app_hidden.helper() returns int language sql stable as 'select 1';
      create function app_public.tg_notes__nothing() returns trigger language plpgsql
        as 'begin return new; end'`,
    violation: "revoke execute on function app_public.notes_shout from public, howdah_operator",
    finds: ["app_public.notes_shout(app_public.notes)"],
    mend: "grant execute on function app_public.notes_shout to howdah_anonymous",
  },
  {
    title: "so is a view that none may read, materialized or not",
    clean: `create view app_public.mine with (security_invoker) as select id from app_public.notes;
      create materialized view app_public.counts as select count(*) from app_public.notes;
      grant select on app_public.mine, app_public.counts to howdah_user`,
    violation: "revoke select on app_public.mine, app_public.counts from howdah_user",
    finds: ["app_public.counts", "app_public.mine"],
    mend: `grant select (id) on app_public.mine to howdah_user;
      drop materialized view app_public.counts`,
  },
]);
