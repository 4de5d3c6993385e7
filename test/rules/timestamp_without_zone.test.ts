import { describeRule } from "../support/rules.ts";

describeRule("timestamp_without_zone", [
  {
    title: "a timestamp without time zone is found",
    clean: `alter table app_public.notes
      add column read_at timestamptz, add column day date, add column hour time`,
    violation: "alter table app_public.notes add column made_at timestamp",
    finds: ["app_public.notes.made_at"],
  },
]);
