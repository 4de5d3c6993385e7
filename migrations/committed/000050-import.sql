--! Previous: sha1:3616a3b13d771ec1688e860cf9257e7570fe4773
--! Hash: sha1:e1265356b23d07d18fc7088b9bf7b7d467c1170d
--! Message: import

-- What an import from another database has brought already: so that it can be run again without
-- bringing back what was changed or deleted here since.

create table app_private.imported_rows (
  source_table text not null,
  source_id int not null,
  source_created_at timestamptz,
  source_digest bytea not null,
  imported_at timestamptz not null default now(),
  constraint imported_rows_pkey primary key (source_table, source_id),
  constraint imported_rows_source_digest_length check (octet_length(source_digest) = 32)
);
alter table app_private.imported_rows enable row level security;
comment on table app_private.imported_rows is
  'Rows that `howdah import:fastapi` has moved here, by table and id. Not needed once the old database is gone. No policy, no grant: the owner only.';
comment on column app_private.imported_rows.source_created_at is
  'With the id it tells a row that was moved from another one that has the same id.';
comment on column app_private.imported_rows.source_digest is
  'SHA-256 of the row as it was: what has changed in the old database since is told, not moved.';
