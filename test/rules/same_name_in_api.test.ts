import { describeRule } from "../support/rules.ts";

const search = (name: string, args: string) => `
  create function app_public.${name}(${args}) returns text language sql stable parallel safe as $$ select 'x' $$;
  grant execute on function app_public.${name}(${args}) to howdah_user;`;

describeRule("same_name_in_api", [
  {
    title: "overloaded functions are found, and names that differ in underscores only",
    clean: `${search("find_it", "text")} ${search("find_it", "app_public.notes")}
      ${search("find_it", "app_public.items")}`,
    violation: `${search("find_it", "text, int")} ${search("findit", "int")}`,
    finds: [
      "app_public.find_it(text)",
      "app_public.find_it(text, integer)",
      "app_public.findit(integer)",
    ],
    mend: `comment on function app_public.find_it(text, int) is E'@name findSome\\nSome.';
      comment on function app_public.findit(int) is E'@behavior -*\\nNot in the API.'`,
  },
]);
