import { describeRule } from "../support/rules.ts";

describeRule("unindexed_filter", [
  {
    title: "a column that a tag offers to filters and no index holds is found",
    clean: "comment on column app_public.notes.user_id is E'@isIndexed\\nThe author.'",
    violation: `comment on column app_public.notes.body is E'@isIndexed\\nWhat it says.';
      comment on column app_public.notes.id is '@behavior +orderBy'`,
    finds: ["app_public.notes.body"],
    mend: "create index on app_public.notes (lower(body)) where body <> ''",
  },
  {
    title: "of a partitioned table that is each column, unless a tag takes it back",
    clean: `create table app_public.log (
        id int primary key, kind text, said text, hidden text
      ) partition by range (id);
      comment on column app_public.log.kind is '@behavior -filterBy -orderBy';
      comment on column app_public.log.hidden is '@behavior -*'`,
    violation: "grant select on app_public.log to howdah_operator",
    finds: ["app_public.log.said"],
    mend: "comment on column app_public.log.said is '@behavior -filterBy -orderBy'",
  },
  {
    title: "the last word of a behavior holds, and half of it is not enough",
    violation: `comment on column app_public.notes.body is
      E'@behavior -filterBy +filterBy -orderBy\\nWhat it says.'`,
    finds: ["app_public.notes.body"],
    mend: "comment on column app_public.notes.body is E'@behavior -filterBy\\nWhat it says.'",
  },
]);
