import { describeRule } from "../support/rules.ts";

describeRule("unknown_tag", [
  {
    title: "a tag that is misspelt, or of PostGraphile 4, is found wherever it stands in the API",
    clean: `comment on table app_public.notes is E'@live\\n@name memos\\nA note. @omit is text here.';
      comment on column app_public.notes.body is E'@behavior -filterBy\\n@deprecated Ask for text.\\nIt.';
      create table app_private.notes (id int);
      comment on table app_private.notes is E'@todo\\nInternal.'`,
    violation: `comment on table app_public.notes is E'@liv\\nA note.';
      comment on column app_public.notes.body is E'@omit read\\nIt.';
      create function app_public.one() returns int language sql stable as 'select 1';
      comment on function app_public.one() is '@Name two'`,
    finds: ["app_public.notes", "app_public.notes.body", "app_public.one()"],
    mend: `comment on table app_public.notes is E'@live\\nA note.';
      comment on column app_public.notes.body is E'@behavior -*\\nIt.';
      comment on function app_public.one() is '@name two'`,
  },
  {
    title: "so is one in the comment of a constraint",
    violation: `comment on constraint notes_pkey on app_public.notes is '@omit'`,
    finds: ["notes_pkey on app_public.notes"],
    mend: "comment on constraint notes_pkey on app_public.notes is '@behavior -single'",
  },
]);
