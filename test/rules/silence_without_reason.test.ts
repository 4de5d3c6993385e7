import { describeRule } from "../support/rules.ts";

describeRule("silence_without_reason", [
  {
    title: "a silence that gives no reason is found",
    clean: `comment on table app_public.notes is
      E'@allow missing_comment because a test says so\\nA note.'`,
    violation: `comment on table app_public.notes is E'@allow missing_comment\\nA note.';
      comment on column app_public.notes.body is E'@allow missing_comment because\\nText.'`,
    finds: ["app_public.notes", "app_public.notes.body"],
    mend: `comment on table app_public.notes is 'A note.';
      comment on column app_public.notes.body is
        E'@allow missing_comment because a test says so\\nText.'`,
  },
  {
    title: "so is one of a rule that is none, and one that stands after the text",
    violation: `comment on policy select_own on app_public.notes is
        '@allow everything because it is mine';
      comment on table app_public.notes is
        E'A note.\\n@allow missing_comment because a test says so'`,
    finds: ["app_public.notes", "select_own on app_public.notes"],
    mend: `comment on policy select_own on app_public.notes is null;
      comment on table app_public.notes is 'A note.'`,
  },
  {
    title: "so is one on a constraint or an index, whose comment clients are told",
    violation: `comment on constraint notes_pkey on app_public.notes is
      '@allow unshardable_table because it is mine'`,
    finds: ["notes_pkey on app_public.notes"],
    mend: "comment on constraint notes_pkey on app_public.notes is 'It exists.'",
  },
]);
