--! Previous: sha1:aa82e7d79e680c4673452c50f1d3a7eb158ed69c
--! Hash: sha1:730b3b44c7a5a4279a068ce850713bbc7bc2c9e7
--! Message: reset addresses

-- Where a reset link may go. An address that nobody has proven opens no account that somebody has proven
-- another way: else its owner would get a stranger's account, and the stranger would keep a way in.

create or replace function app_private.may_reset(u app_public.users, address text) returns boolean
language sql stable
as $$
  select case when address = u.phone then u.phone_verified else u.email_verified end
    or not (
      u.email_verified
      or u.phone_verified
      or exists (
        select from app_public.oauth2_credentials c where c.user_id = u.id and c.subject is not null
      )
    );
$$;
comment on function app_private.may_reset(app_public.users, text) is
  'True for a proven address of the user, and for any where nothing of the account is proven.';

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
