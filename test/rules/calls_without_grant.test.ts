import { describeRule } from "../support/rules.ts";

const FUNCTION = `
  create function app_hidden.is_open() returns boolean language sql stable parallel safe as $$ select true $$;
  revoke all on function app_hidden.is_open() from public;`;

describeRule("calls_without_grant", [
  {
    title: "a policy that calls what its role may not execute is found",
    clean: `${FUNCTION}
      create policy delete_open on app_public.notes for delete to howdah_user
        using ((select app_hidden.is_open()))`,
    // Nobody was granted to delete; to select, they were.
    violation: `create policy select_open on app_public.notes for select to howdah_user
      using ((select app_hidden.is_open()))`,
    finds: ["app_public.notes.select_open"],
    mend: "grant execute on function app_hidden.is_open() to howdah_user",
  },
  {
    title: "a default of a table into which one may insert is found",
    clean: `${FUNCTION}
      create table app_public.doors (id int, is_open boolean default app_hidden.is_open())`,
    violation: "grant insert (id) on app_public.doors to howdah_user",
    finds: ["app_public.doors.is_open"],
    mend: "grant execute on function app_hidden.is_open() to howdah_user",
  },
]);
