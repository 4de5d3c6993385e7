--! Previous: sha1:b4eea42a01532fe8d966ce44d2a92c44f4f7217d
--! Hash: sha1:18c6866696e030d23cc0c93784579188956b9139
--! Message: known-migrations

-- For /ready: whether this database has what the code was built for. Who connects as the authenticator may not
-- look at graphile-migrate's own tables.

create or replace function app_private.has_migration(hash text) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  return exists (
    select from graphile_migrate.migrations m where m.hash = has_migration.hash
  );
end;
$$;
comment on function app_private.has_migration(text) is
  'True where the committed migration with this hash, and with it each one before, has been run here.';
grant execute on function app_private.has_migration(text) to :DATABASE_AUTHENTICATOR;
