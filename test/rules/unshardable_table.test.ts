import { describeRule } from "../support/rules.ts";

describeRule("unshardable_table", [
  {
    title: "a table of users whose keys leave the user out is found",
    clean: "create table app_public.shared (id int primary key)",
    violation: `create table app_public.things (
        id int constraint things_pkey primary key, user_id int, name text
      );
      create unique index on app_public.notes (body)`,
    finds: ["app_public.notes", "app_public.things"],
    mend: `drop index app_public.notes_body_idx;
      alter table app_public.things drop constraint things_pkey, add primary key (user_id, id)`,
  },
  {
    title: "by the column that was named",
    options: { shardingColumn: "tenant_id" },
    violation: "create table app_private.things (id int primary key, tenant_id int)",
    finds: ["app_private.things"],
    mend: "drop table app_private.things",
  },
]);
