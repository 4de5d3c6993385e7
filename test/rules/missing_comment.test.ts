import { describeRule } from "../support/rules.ts";

describeRule("missing_comment", [
  {
    title: "a table, column, function or type without a comment is found",
    violation: `comment on table app_public.notes is null;
      comment on column app_public.notes.body is null;
      create function app_hidden.helper(a int, b text) returns int language sql as 'select 1';
      create type app_public.colour as enum ('bay')`,
    finds: [
      "app_hidden.helper(integer, text)",
      "app_public.colour",
      "app_public.notes",
      "app_public.notes.body",
    ],
    mend: `comment on table app_public.notes is 'A note.';
      comment on column app_public.notes.body is 'What it says.';
      comment on function app_hidden.helper(int, text) is 'It helps.';
      comment on type app_public.colour is 'A colour.'`,
  },
  {
    title: "tags describe nothing; a text after them does",
    clean: "comment on column app_public.notes.body is E'@isIndexed\\n@name text\\nWhat it says.'",
    violation: "comment on column app_public.notes.body is E'@isIndexed\\n@name text\\n'",
    finds: ["app_public.notes.body"],
    mend: "comment on column app_public.notes.body is E'@isIndexed\\nme@example.com'",
  },
]);
