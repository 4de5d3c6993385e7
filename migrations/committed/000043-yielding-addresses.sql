--! Previous: sha1:44203fa006a31cb3dab363832e607ea8e2508f61
--! Hash: sha1:9b7bfcc1d413d616ebed30653accf3d6f7d657c7
--! Message: yielding addresses

-- An address is whose who proves it. An unproven one that stands in another account gives way, so that nobody
-- can keep its owner from ever having one.

create or replace function app_private.yield_address(
  u_id int, purpose app_private.user_token_purpose, target text
) returns void
language sql volatile
as $$
  update app_public.users u
  set
    email = case when purpose = 'email_verification' then null else u.email end,
    phone = case when purpose = 'phone_verification' then null else u.phone end
  where u.id <> u_id
    and u.deleted_at is null
    and case purpose
      when 'email_verification' then u.email = target::citext and not u.email_verified
      when 'phone_verification' then u.phone = target and not u.phone_verified
    end;
$$;
comment on function app_private.yield_address(int, app_private.user_token_purpose, text) is
  'Takes an address that a user has just proven away from whoever had only typed it in.';

create or replace function app_private.use_proof(
  u_id int, purpose app_private.user_token_purpose, target text
) returns app_public.users
language plpgsql volatile
as $$
declare
  v_user app_public.users;
begin
  perform app_private.yield_address(u_id, purpose, target);
  update app_public.users u
  set
    email = case when purpose = 'email_verification' then target::citext else u.email end,
    email_verified = u.email_verified or purpose = 'email_verification',
    phone = case when purpose = 'phone_verification' then target else u.phone end,
    phone_verified = u.phone_verified or purpose = 'phone_verification'
  where u.id = u_id and u.deleted_at is null
  returning u.* into v_user;
  perform app_private.log_security_event(
    case
      when purpose = 'email_verification' then 'email_verified'
      else 'phone_verified'
    end::app_public.security_event_kind,
    v_user.id,
    app_public.current_session_id(),
    app_private.request_client()
  );
  return v_user;
end;
$$;

create or replace function app_private.release_unproven_addresses(batch_size int) returns int
language plpgsql volatile
as $$
declare
  v_count int;
begin
  update app_public.users u
  set email = null
  where u.id in (
    select o.id from app_public.users o
    where o.email is not null
      and not o.email_verified
      and o.phone_verified
      and o.deleted_at is null
      and o.created_at < now() - interval '24 hours'
      and not exists (
        select from app_private.user_tokens t
        where t.user_id = o.id and t.purpose = 'email_verification' and t.expires_at > now()
      )
    limit batch_size
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function app_private.release_unproven_addresses(int) is
  'Frees e-mail addresses that were not proven while their link was good, of accounts that have a proven phone. At most batch_size; 0 means done. Each hour.';

create or replace function app_public.log_out_everywhere(keep_current boolean default false) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
begin
  perform app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = v_user_id
        and not (coalesce(keep_current, false) and s.id = app_public.current_session_id())
    ),
    'log_out_everywhere'
  );
  perform app_private.void_pending_changes(v_user_id);
  perform app_private.log_security_event(
    'logged_out', v_user_id, app_public.current_session_id(), app_private.request_client()
  );
end;
$$;

-- An identity that stayed with a closed account would keep its owner out for good.
create or replace function app_private.tg_users__delete_identities() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from app_public.oauth2_credentials c where c.user_id = new.id;
  return null;
end;
$$;
comment on function app_private.tg_users__delete_identities() is
  'Trigger: a closed account has no identities elsewhere.';
create trigger _500_delete_identities
  after update of deleted_at on app_public.users
  for each row when (old.deleted_at is null and new.deleted_at is not null)
  execute function app_private.tg_users__delete_identities();

create or replace function app_private.tg_sessions__disable_devices_of_gone() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'logged_out'
  where d.session_id = old.id and d.disabled_at is null;
  return old;
end;
$$;
comment on function app_private.tg_sessions__disable_devices_of_gone() is
  'Trigger: a device whose session has expired and is deleted gets no more pushes until it registers again.';
create trigger _400_disable_devices_of_gone
  before delete on app_public.sessions
  for each row execute function app_private.tg_sessions__disable_devices_of_gone();

-- A phone that signed up where sign-ups have to be confirmed has no session to prove itself in.
create or replace function app_private.begin_verify_phone(
  phone text, client jsonb, factor double precision, out retry_after int, out user_id int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  retry_after := app_private.begin_sign_in(client, factor);
  if retry_after = 0 then
    retry_after := app_private.count_attempt(
      'code', app_private.log_in_target(phone, client), factor
    );
  end if;
  if retry_after = 0 then
    user_id := app_private.user_by_identifier(phone);
  end if;
end;
$$;
comment on function app_private.begin_verify_phone(text, jsonb, double precision) is
  'Counts an attempt to prove a phone number without being logged in, and finds whose it is; retry_after: seconds to wait, or 0.';
grant execute on function app_private.begin_verify_phone(text, jsonb, double precision)
  to :DATABASE_AUTHENTICATOR;
