import { describeRule } from "../support/rules.ts";

describeRule("function_without_parallel_safety", [
  {
    title: "a reading function that requests may call, left unsafe, is found",
    clean: `create function app_hidden.one() returns int language sql stable as 'select 1';
      create function app_public.bump() returns int language sql volatile as 'select 1';
      grant execute on function app_public.bump() to howdah_user`,
    violation: "grant execute on function app_hidden.one() to howdah_user",
    finds: ["app_hidden.one()"],
  },
  {
    title: "so is one that a policy calls",
    clean: `create function app_private.mine() returns int language sql stable parallel restricted
        as 'select 1';
      create policy select_mine on app_public.notes for select to howdah_user
        using (user_id = (select app_private.mine()))`,
    violation: "alter function app_private.mine() parallel unsafe",
    finds: ["app_private.mine()"],
  },
]);
