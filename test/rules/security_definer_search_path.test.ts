import { describeRule } from "../support/rules.ts";

describeRule("security_definer_search_path", [
  {
    title: "a definer function without a search_path is found",
    clean: "create function app_public.plain() returns int language sql as 'select 1'",
    violation: `create function app_private.lift(a int) returns int language sql security definer
      as 'select 1'`,
    finds: ["app_private.lift(integer)"],
  },
  {
    title: "so is a path that temporary tables come before, and one of the caller's",
    clean: `create function app_public.empty() returns int language sql security definer
      set search_path = '' as 'select 1'`,
    violation: `create function app_public.early() returns int language sql security definer
        set search_path = pg_catalog, public as 'select 1';
      create procedure app_public.theirs() language sql security definer
        set search_path = pg_catalog, "$user", pg_temp as 'select 1';
      create function app_public.again() returns int language sql security definer
        set search_path = pg_temp, app_public, pg_temp as 'select 1'`,
    finds: ["app_public.again()", "app_public.early()", "app_public.theirs()"],
  },
]);
