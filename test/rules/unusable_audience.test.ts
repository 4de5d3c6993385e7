import { describeRule } from "../support/rules.ts";

describeRule("unusable_audience", [
  {
    title:
      "a view without user_id is found, and a function that takes arguments or returns something else",
    clean: `create view app_audiences.writers as select distinct user_id from app_public.notes;
      create function app_audiences.everybody() returns setof int language sql stable
      as $$ select id from app_public.users $$`,
    violation: `create view app_audiences.readers as select id from app_public.users;
      create function app_audiences.of_day(day date) returns setof int language sql stable
      as $$ select id from app_public.users where created_at::date = day $$;
      create function app_audiences.first_user() returns int language sql stable
      as $$ select min(id) from app_public.users $$`,
    finds: ["app_audiences.first_user()", "app_audiences.of_day(date)", "app_audiences.readers"],
    mend: `drop view app_audiences.readers; drop function app_audiences.of_day(date);
      alter function app_audiences.first_user() set schema app_hidden`,
  },
]);
