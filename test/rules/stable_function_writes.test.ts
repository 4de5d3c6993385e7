import { describeRule } from "../support/rules.ts";

describeRule("stable_function_writes", [
  {
    title:
      "a stable function that inserts or locks rows is found; words, texts and comments are not",
    clean: `create function app_public.about() returns text language plpgsql stable parallel safe
      as $$ begin
        -- insert into nothing
        return 'to update notes set a body; delete from it';
      end $$;
      create function app_public.help_text() returns text language plpgsql stable parallel safe
      as $$ begin /* one */ return $t$To begin, insert into the slot a coin; do not delete from the list.$t$; /* two */ end $$;
      create function app_public.item_word() returns text stable parallel safe
      begin atomic select 'x'::text as "insert into"; end`,
    violation: `create function app_public.count_up() returns int language sql stable
      as $$ update app_public.notes n set body = '' where false returning 1 $$;
      create function app_public.lock_notes() returns int language plpgsql stable
      as $$ begin perform 1 from app_public.notes for update; return 1; end $$`,
    finds: ["app_public.count_up()", "app_public.lock_notes()"],
    mend: `alter function app_public.count_up() volatile; alter function app_public.lock_notes() volatile`,
  },
  {
    title: "a text that is run, and what stands between two comments, are found",
    violation: `create function app_public.make_note() returns int language plpgsql stable
      as $f$ begin execute 'insert into app_public.notes (body) values ($1)' using 'x'; return 1; end $f$;
      create function app_public.add_note() returns int language sql stable
      as $f$ /* one */ insert into app_public.notes (user_id, body) values (1, 'x') returning id /* two */ $f$`,
    finds: ["app_public.add_note()", "app_public.make_note()"],
    mend: `alter function app_public.make_note() volatile; alter function app_public.add_note() volatile`,
  },
]);
