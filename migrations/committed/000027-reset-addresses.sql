--! Previous: sha1:c6e2fbdae50c9f86ad3bd0387b6a2d279d4798b5
--! Hash: sha1:7e2c22fb4f08c9d88aaa209bc50932dcf6bcdd9e
--! Message: reset addresses

-- Where a reset link may go. An address that nobody has proven opens no account that somebody has proven
-- another way: else its owner would get a stranger's account, and the stranger would keep a way in.

create or replace function app_private.may_reset(u app_public.users, address text) returns boolean
language sql stable
as $$
  select (address is not distinct from u.phone and u.phone_verified)
    or (address::citext is not distinct from u.email and u.email_verified)
    or (
      (address is not distinct from u.phone or address::citext is not distinct from u.email)
      and not u.email_verified
      and not u.phone_verified
      and not exists (
        select from app_public.oauth2_credentials c where c.user_id = u.id and c.subject is not null
      )
    );
$$;
comment on function app_private.may_reset(app_public.users, text) is
  'True for a proven address that the user still has, and for any of theirs where nothing of the account is proven.';

create or replace function app_private.start_password_reset(identifier text, client jsonb) returns void
language plpgsql volatile
as $$
declare
  v_user app_public.users;
  v_address text;
begin
  select * into v_user
  from app_public.users u where u.id = app_private.user_by_identifier(identifier);
  if not found then
    return;
  end if;
  v_address := case when position('@' in identifier) > 0 then v_user.email::text else v_user.phone end;
  if not app_private.may_reset(v_user, v_address) then
    return;
  end if;
  perform app_private.request_proof(v_user.id, 'password_reset', v_address);
  perform app_private.log_security_event('password_reset_requested', v_user.id, null, client);
end;
$$;

create or replace function app_private.begin_password_reset(
  token_hash bytea, client jsonb, factor double precision, out retry_after int, out is_valid boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  retry_after := app_private.begin_sign_in(client, factor);
  is_valid := exists (
    select from app_private.user_tokens t
    where t.token_hash = begin_password_reset.token_hash
      and t.purpose = 'password_reset'
      and t.used_at is null
      and t.expires_at > now()
  );
end;
$$;
comment on function app_private.begin_password_reset(bytea, jsonb, double precision) is
  'Counts an attempt to use a link (retry_after: seconds to wait, or 0), and says whether hashing a new password for it is worth while.';

create or replace function app_private.reset_password(
  token_hash bytea, new_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
  v_user app_public.users;
begin
  update app_private.user_tokens t
  set used_at = now()
  where t.token_hash = reset_password.token_hash
    and t.purpose = 'password_reset'
    and t.used_at is null
    and t.expires_at > now()
  returning t.* into v_token;
  if not found then
    return false;
  end if;
  -- What was proven, or changed, since the link was asked for counts now.
  select * into v_user
  from app_public.users u where u.id = v_token.user_id and u.deleted_at is null for update;
  if not found or not app_private.may_reset(v_user, v_token.target) then
    return false;
  end if;
  perform app_private.set_password(v_user.id, new_password_hash, null, 'password_reset');
  -- The link came by this address: that is a proof of it as well.
  update app_public.users u
  set
    email_verified = u.email_verified or u.email is not distinct from v_token.target::citext,
    phone_verified = u.phone_verified or u.phone is not distinct from v_token.target
  where u.id = v_user.id;
  perform app_private.log_security_event('password_reset', v_user.id, null, client);
  return true;
end;
$$;
grant execute on function app_private.begin_password_reset(bytea, jsonb, double precision)
  to :DATABASE_AUTHENTICATOR;
