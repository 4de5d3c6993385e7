import { describeRule } from "../support/rules.ts";

describeRule("function_without_volatility", [
  {
    title: "a volatile function that a policy calls is found",
    clean: `create function app_hidden.mine() returns int language sql stable as 'select 1';
      create policy select_mine on app_public.notes for select to howdah_user
        using (user_id = (select app_hidden.mine()))`,
    violation: "alter function app_hidden.mine() volatile",
    finds: ["app_hidden.mine()"],
  },
  {
    title: "so is an exposed one that only reads, in the body of either kind",
    clean: `create function app_public.notes_shout(n app_public.notes) returns text language sql
        stable as 'select upper(n.body)';
      create function app_public.roll() returns float language sql as 'select random()';
      create function app_public.tidy() returns int language plpgsql
        as 'begin delete from app_public.notes; return 1; end'`,
    violation: `alter function app_public.notes_shout volatile;
      create function app_public.answer() returns int language plpgsql
        -- What a comment says is not done.
        as 'begin return 42; -- delete nothing
        end';
      create function app_public.atomic() returns int begin atomic select 1; end`,
    finds: [
      "app_public.answer()",
      "app_public.atomic()",
      "app_public.notes_shout(app_public.notes)",
    ],
    mend: `alter function app_public.answer() immutable; alter function app_public.atomic() stable;
      alter function app_public.notes_shout stable`,
  },
]);
