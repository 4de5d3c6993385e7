--! Previous: sha1:7bcd576a17427b263ca780a3c686d703806528e3
--! Hash: sha1:cc10cad70561cfdb03067ab30c70b4ed9d430277
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
