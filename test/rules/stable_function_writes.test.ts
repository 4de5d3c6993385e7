import { describeRule } from "../support/rules.ts";

describeRule("stable_function_writes", [
  {
    title:
      "a stable function that inserts or locks rows is found; words, texts and comments are not",
    clean: `create function app_public.about() returns text language plpgsql stable parallel safe
      as $$ begin
        -- insert into nothing
        return 'to update notes set a body; delete from it';
      end $$`,
    violation: `create function app_public.count_up() returns int language sql stable
      as $$ update app_public.notes n set body = '' where false returning 1 $$;
      create function app_public.lock_notes() returns int language plpgsql stable
      as $$ begin perform 1 from app_public.notes for update; return 1; end $$`,
    finds: ["app_public.count_up()", "app_public.lock_notes()"],
    mend: `alter function app_public.count_up() volatile; alter function app_public.lock_notes() volatile`,
  },
]);
