import { describeRule } from "../support/rules.ts";

describeRule("insert_without_sequence", [
  {
    title: "a serial column is found, an identity column is not",
    violation: "alter table app_public.notes add number serial",
    finds: ["app_public.notes.number"],
  },
  {
    title: "update on the sequence is enough, and who may not insert needs nothing",
    clean: `alter table app_public.notes add number serial;
      grant update on sequence app_public.notes_number_seq to howdah_user;
      grant select on app_public.notes to howdah_anonymous`,
    violation: "revoke update on sequence app_public.notes_number_seq from howdah_user",
    finds: ["app_public.notes.number"],
    mend: "alter table app_public.notes alter column number drop default",
  },
]);
