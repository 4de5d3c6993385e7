import { describeRule } from "../support/rules.ts";

const search = (name: string, args: string, volatility = "stable parallel safe") => `
  create function app_public.${name}(${args}) returns text language sql ${volatility} as $$ select 'x' $$;
  grant execute on function app_public.${name}(${args}) to howdah_user;`;

describeRule("same_name_in_api", [
  {
    title: "overloaded functions are found, and names that are one in camelCase",
    clean: `${search("find_it", "text")} ${search("find_it", "app_public.notes")} ${search("findit", "int")}
      ${search("find_it", "app_public.items")}`,
    violation: `${search("find_it", "text, int")} ${search("find__it", "int")} ${search('"findIt"', "bool")}
      ${search("item_2", "int")} ${search("item2", "int")}`,
    finds: [
      'app_public."findIt"(boolean)',
      "app_public.find__it(integer)",
      "app_public.find_it(text)",
      "app_public.find_it(text, integer)",
      "app_public.item2(integer)",
      "app_public.item_2(integer)",
    ],
    mend: `comment on function app_public.find_it(text, int) is E'@name findSome\\nSome.';
      drop function app_public.item2(int); drop function app_public."findIt"(bool);
      comment on function app_public.find__it(int) is E'@behavior -*\\nNot in the API.'`,
  },
  {
    title:
      "a function that has the name of a column, or of what the API makes of a table, is found",
    clean: `${search("create_note", "text")} ${search("delete_note", "text", "volatile")}
      ${search("notes_length", "app_public.notes")} ${search("create_notice", "text", "volatile")}`,
    violation: `drop function app_public.create_note(text);
      ${search("create_note", "text", "volatile")} ${search("notes_body", "app_public.notes")}`,
    finds: ["app_public.create_note(text)", "app_public.notes_body(app_public.notes)"],
    mend: `drop function app_public.notes_body(app_public.notes);
      comment on function app_public.create_note(text) is E'@name write_note\\nWrites one.'`,
  },
]);
