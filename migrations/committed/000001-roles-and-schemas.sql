--! Previous: -
--! Hash: sha1:b9bb0e3fdddd3684270d5ba9a76ba9c5667d2046
--! Message: roles and schemas

-- Where things live and who may touch them at all. The roles themselves are in ../roles.sql.

create extension if not exists citext with schema public;
create extension if not exists pgcrypto with schema public;

create schema if not exists app_public;
create schema if not exists app_hidden;
create schema if not exists app_private;

comment on schema app_public is 'The API: whatever is here and granted is in the GraphQL schema.';
comment on schema app_hidden is 'Helpers that requests may use but that the API does not show.';
comment on schema app_private is
  'Secrets and internals. No role of a request may enter; its functions are for the owner, the worker and, one by one, the authenticator.';

-- Nothing is allowed by default: no database, schema, table or function right comes from PUBLIC.
revoke all on schema public from public;
grant usage on schema public to
  :DATABASE_AUTHENTICATOR, :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;
grant usage on schema app_public, app_hidden to
  :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;
-- For password hashes and refresh tokens, which Node has to see: function by function, see accounts.
grant usage on schema app_private to :DATABASE_AUTHENTICATOR;

alter default privileges for role :DATABASE_OWNER revoke execute on functions from public;
alter default privileges for role :DATABASE_OWNER revoke usage on types from public;
alter default privileges for role :DATABASE_OWNER in schema app_public, app_hidden
  grant usage on types to :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;

-- Who is asking. The API sets these for one transaction from a verified token; empty means nobody.
create or replace function app_public.current_user_id() returns int
language sql stable parallel safe
as $$
  select nullif(pg_catalog.current_setting('jwt.claims.user_id', true), '')::int;
$$;
comment on function app_public.current_user_id() is
  E'@behavior -queryField\nThe id of the user who sent this request; null for nobody.';

create or replace function app_public.current_session_id() returns int
language sql stable parallel safe
as $$
  select nullif(pg_catalog.current_setting('jwt.claims.session_id', true), '')::int;
$$;
comment on function app_public.current_session_id() is
  E'@behavior -queryField\nThe id of the session that this request belongs to; null for nobody.';

create or replace function app_hidden.current_user_is_operator() returns boolean
language sql stable parallel safe
as $$
  select pg_has_role(current_user, ':DATABASE_OPERATOR', 'usage');
$$;
comment on function app_hidden.current_user_is_operator() is
  'True where this request runs as an operator.';

grant execute on function
  app_public.current_user_id(), app_public.current_session_id(),
  app_hidden.current_user_is_operator()
to :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;

create or replace function app_private.tg__timestamps() returns trigger
language plpgsql volatile
as $$
begin
  new.created_at = case when tg_op = 'INSERT' then coalesce(new.created_at, now()) else old.created_at end;
  -- Never back, even where the clock was: updated_at orders the versions of a row.
  new.updated_at = case
    when tg_op = 'INSERT' then coalesce(new.updated_at, now())
    else greatest(now(), old.updated_at + interval '1 microsecond')
  end;
  return new;
end;
$$;
comment on function app_private.tg__timestamps() is
  'Trigger: created_at stands, updated_at moves with each change. For tables that have both.';
