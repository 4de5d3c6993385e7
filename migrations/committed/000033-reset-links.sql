--! Previous: sha1:e34f6b2215dc66572f6204007fd06c35f066f405
--! Hash: sha1:a4bb554da6a7436048fdeb15ba9b943327acef73
--! Message: reset links

-- A reset link is looked at before the new password is hashed, so that made-up links cost nothing;
-- and it is void once the address that it went to is the user's no more.

create or replace function app_private.is_reset_link(token_hash bytea) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from app_private.user_tokens t
    where t.token_hash = is_reset_link.token_hash
      and t.purpose = 'password_reset'
      and t.used_at is null
      and t.expires_at > now()
  );
$$;
comment on function app_private.is_reset_link(bytea) is
  'True for a reset link (given as SHA-256) that may be used; reset_password() decides.';
grant execute on function app_private.is_reset_link(bytea) to :DATABASE_AUTHENTICATOR;

create or replace function app_private.tg_users__void_reset_links() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from app_private.user_tokens t
  where t.user_id = new.id
    and t.purpose = 'password_reset'
    and t.target::citext is distinct from new.email
    and t.target is distinct from new.phone;
  return null;
end;
$$;
comment on function app_private.tg_users__void_reset_links() is
  'Trigger: a reset link that went to a former address is void.';
drop trigger if exists _500_void_reset_links on app_public.users;
create trigger _500_void_reset_links
  after update of email, phone on app_public.users
  for each row
  when (old.email is distinct from new.email or old.phone is distinct from new.phone)
  execute function app_private.tg_users__void_reset_links();
