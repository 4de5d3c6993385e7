--! Previous: sha1:b9612d80cea0a06f6a6a3d6102c74504331965fc
--! Hash: sha1:e34f6b2215dc66572f6204007fd06c35f066f405
--! Message: verifying a phone before logging in

-- Who had to confirm their sign-up cannot log in before; the code that came by SMS lets them.

create or replace function app_private.begin_verify_phone(
  phone text, client jsonb, factor double precision, out retry_after int, out user_id int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  retry_after := app_private.count_attempt('code', app_private.log_in_target(phone, client), factor);
  if retry_after > 0 then
    return;
  end if;
  -- The number that signed up alone: one that is to take its place is for who is logged in.
  select u.id into user_id
  from app_public.users u
  join app_private.user_tokens t
    on t.user_id = u.id and t.purpose = 'phone_verification' and t.target = u.phone
  where u.phone = app_hidden.normalize_phone(begin_verify_phone.phone) and u.deleted_at is null;
end;
$$;
comment on function app_private.begin_verify_phone(text, jsonb, double precision) is
  'For who is not logged in: counts an attempt to prove a phone number, and says whose it is. Unknown numbers are counted alike.';
grant execute on function app_private.begin_verify_phone(text, jsonb, double precision)
to :DATABASE_AUTHENTICATOR;
