--! Previous: sha1:472fbd5242181509ed2cb235eaf039a03f3e0816
--! Hash: sha1:d2535643e20aa23df35e9c8493e0c2f4aee4f34b
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
