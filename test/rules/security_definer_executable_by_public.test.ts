import { describeRule } from "../support/rules.ts";

describeRule("security_definer_executable_by_public", [
  {
    title: "a definer function that PUBLIC may call is found",
    clean: `create function app_public.lift() returns int language sql security definer
      set search_path = pg_catalog, public, pg_temp as 'select 1'`,
    violation: "grant execute on function app_public.lift() to public",
    finds: ["app_public.lift()"],
    mend: "revoke execute on function app_public.lift() from public",
  },
  {
    title: "nobody may call one whose comment says what for; tags alone say nothing",
    clean: `create function app_public.lift() returns int language sql security definer
        set search_path = pg_catalog, public, pg_temp as 'select 1';
      comment on function app_public.lift() is 'What everybody may know.';
      grant execute on function app_public.lift() to howdah_anonymous`,
    violation: "comment on function app_public.lift() is '@behavior -queryField'",
    finds: ["app_public.lift()"],
    mend: "revoke execute on function app_public.lift() from howdah_anonymous",
  },
]);
