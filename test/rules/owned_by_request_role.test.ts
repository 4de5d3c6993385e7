import { describeRule } from "../support/rules.ts";

describeRule("owned_by_request_role", [
  {
    title: "a table, a function and a schema of a user's role are found",
    clean: `grant howdah_user to howdah_owner;
      grant create on schema app_public to howdah_user;
      do $$ begin
        execute format('grant create on database %I to howdah_user', current_database());
      end $$;
      create function app_public.one() returns int language sql immutable as 'select 1';
      create schema reports;
      grant usage on schema reports to howdah_user`,
    violation: `alter table app_public.notes owner to howdah_user;
      alter function app_public.one() owner to howdah_user;
      alter schema reports owner to howdah_user`,
    finds: ["app_public.notes", "app_public.one()", "reports"],
    mend: `alter table app_public.notes owner to howdah_owner;
      alter function app_public.one() owner to howdah_owner;
      alter schema reports owner to howdah_owner`,
  },
]);
