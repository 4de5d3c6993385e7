--! Previous: sha1:129391a04ee3e51a114beb4a84150716e12841b0
--! Hash: sha1:6e3324c2d6ef19710dbcbe934c9508f75c6d670c
--! Message: closing accounts

-- Closing an account as a step of its own, because more than its user's wish may lead to it.

create or replace function app_private.close_account(user_id int, session_id int, client jsonb)
returns void
language plpgsql volatile
as $$
begin
  perform app_private.log_security_event('account_deleted', user_id, session_id, client);
  -- Sessions, devices, password, proofs and rights go by the triggers of deleted_at.
  update app_public.users u
  set
    deleted_at = now(),
    first_name = 'Deleted',
    last_name = null,
    email = null,
    email_verified = false,
    phone = null,
    phone_verified = false,
    picture = null
  where u.id = close_account.user_id and u.deleted_at is null;
  delete from app_public.items i where i.user_id = close_account.user_id;
  delete from app_public.oauth2_credentials c where c.user_id = close_account.user_id;
  delete from app_public.notification_recipients r where r.user_id = close_account.user_id;
  update app_public.notification_deliveries d
  set status = 'canceled'
  where d.user_id = close_account.user_id and d.status in ('queued', 'retrying');
end;
$$;
comment on function app_private.close_account(int, int, jsonb) is
  'Closes an account: sessions, devices, identities, items, inbox and pending deliveries go, the address is free.';

create or replace function app_private.delete_account(
  user_id int, session_id int, verified_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- The password, or a log-in of the last ten minutes.
  if verified_password_hash is null then
    perform from app_public.sessions s
    where s.id = delete_account.session_id
      and s.user_id = delete_account.user_id
      and s.created_at > now() - interval '10 minutes';
  else
    perform from app_private.user_secrets s
    where s.user_id = delete_account.user_id and s.password_hash = verified_password_hash;
  end if;
  if not found then
    return false;
  end if;
  perform app_private.close_account(user_id, session_id, client);
  return true;
end;
$$;
