import { describeRule } from "../support/rules.ts";

describeRule("foreign_key_without_index", [
  {
    title: "a foreign key that no index begins with is found",
    violation: `alter table app_public.notes
      add column item_id int constraint notes_item_id_fkey references app_public.items`,
    finds: ["app_public.notes.notes_item_id_fkey"],
  },
  {
    title: "an index may leave out nulls, and nothing else",
    clean: `alter table app_public.notes
        add column item_id int constraint notes_item_id_fkey references app_public.items;
      create index notes_item_id_idx on app_public.notes (item_id) where item_id is not null`,
    violation: `drop index app_public.notes_item_id_idx;
      create index on app_public.notes (item_id) where item_id > 7;
      create index on app_public.notes (body, item_id)`,
    finds: ["app_public.notes.notes_item_id_fkey"],
  },
]);
