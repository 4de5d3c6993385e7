--! Previous: sha1:c109328155d84491c15bb08f2df81469f9dd1a68
--! Hash: sha1:404c1f4d1d74407d6b900b72bdfdc082a7b61b70
--! Message: turns of an account

-- Whoever is being thrown out of an account has requests under way: they are judged once they have their turn.

create or replace function app_private.lock_user(user_id int, session_id int) returns void
language plpgsql volatile
as $$
begin
  perform from app_public.users u
  where u.id = lock_user.user_id and u.deleted_at is null for no key update;
  -- In a statement of its own: it sees what was committed while the lock was waited for.
  if not found
    or (
      lock_user.session_id is not null
      and not exists (
        select from app_public.sessions s
        where s.id = lock_user.session_id and s.user_id = lock_user.user_id and s.revoked_at is null
      )
    )
  then
    raise exception using
      errcode = 'HWREV', message = 'This session has ended.', hint = 'Log in again.';
  end if;
end;
$$;
comment on function app_private.lock_user(int, int) is
  'Takes turns with all that changes the ways into an account. Raises HWREV where its session has ended meanwhile; without a session nothing is asked.';

create or replace function app_public.update_me(patch jsonb) returns app_public.users
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user app_public.users;
begin
  if patch ?| array['email', 'phone'] then
    perform app_private.lock_user(app_public.current_user_id(), app_public.current_session_id());
  end if;
  update app_public.users u
  set
    first_name = case when patch ? 'first_name' then btrim(patch ->> 'first_name') else u.first_name end,
    last_name = case when patch ? 'last_name' then nullif(btrim(patch ->> 'last_name'), '') else u.last_name end,
    picture = case when patch ? 'picture' then nullif(patch ->> 'picture', '') else u.picture end,
    timezone = case when patch ? 'timezone' then patch ->> 'timezone' else u.timezone end
  where u.id = app_public.current_user_id() and u.deleted_at is null
  returning u.* into v_user;
  if v_user.id is null then
    return null;
  end if;
  -- A new address is pending until it is proven; the old one stays until then, and is told.
  if patch ? 'email' then
    perform app_private.request_address_change(v_user, 'email_verification', patch ->> 'email');
  end if;
  if patch ? 'phone' then
    perform app_private.request_address_change(v_user, 'phone_verification', patch ->> 'phone');
  end if;
  return v_user;
end;
$$;

create or replace function app_private.request_verification(purpose app_private.user_token_purpose)
returns void
language plpgsql volatile
as $$
declare
  v_is_email boolean = purpose = 'email_verification';
  v_user app_public.users;
  v_target text;
begin
  perform app_private.lock_user(app_public.current_user_id(), app_public.current_session_id());
  select * into v_user from app_public.users u
  where u.id = app_public.current_user_id() and u.deleted_at is null;
  select t.target into v_target from app_private.user_tokens t
  where t.user_id = v_user.id and t.purpose = request_verification.purpose and t.used_at is null;
  v_target := coalesce(
    v_target,
    case
      when v_is_email and not v_user.email_verified then v_user.email::text
      when not v_is_email and not v_user.phone_verified then v_user.phone
    end
  );
  if v_target is null then
    raise exception using
      errcode = 'HWCFL',
      message = case
        when (v_is_email and v_user.email_verified) or (not v_is_email and v_user.phone_verified)
          then 'It is verified already.'
        else 'There is nothing to verify.'
      end,
      hint = 'Set another address with updateMe first.';
  end if;
  perform app_private.limit_proofs(v_user.id, purpose, v_target);
  perform app_private.request_proof(v_user.id, purpose, v_target);
end;
$$;

create or replace function app_private.set_password(
  user_id int, password_hash text, keep_session_id int, reason text
) returns void
language sql volatile
as $$
  select from app_public.users u where u.id = set_password.user_id for no key update;
  insert into app_private.user_secrets as s (user_id, password_hash)
  values (set_password.user_id, set_password.password_hash)
  on conflict on constraint user_secrets_pkey do update
  set password_hash = excluded.password_hash, password_changed_at = now();
  select app_private.void_pending_changes(set_password.user_id);
  select app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = set_password.user_id and s.id is distinct from keep_session_id
    ),
    reason
  );
  select app_private.send_notice(u.id, reason, u.email)
  from app_public.users u where u.id = set_password.user_id and u.email is not null;
$$;

create or replace function app_private.change_password(
  user_id int, session_id int, verified_password_hash text, new_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.lock_user(user_id, session_id);
  perform from app_private.user_secrets s
  where s.user_id = change_password.user_id and s.password_hash = verified_password_hash
  for update;
  if not found then
    return false;
  end if;
  perform app_private.set_password(user_id, new_password_hash, session_id, 'password_changed');
  perform app_private.forget_attempts('reauthentication', user_id::text);
  perform app_private.log_security_event('password_changed', user_id, session_id, client);
  return true;
end;
$$;

create or replace function app_private.delete_account(
  user_id int, session_id int, verified_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.lock_user(user_id, session_id);
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

create or replace function app_public.log_out_everywhere(keep_current boolean default false) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
  v_ended int[];
begin
  perform app_private.lock_user(v_user_id, app_public.current_session_id());
  v_ended := array(
    select s.id from app_public.sessions s
    where s.user_id = v_user_id
      and s.revoked_at is null
      and s.expires_at > now()
      and not (coalesce(keep_current, false) and s.id = app_public.current_session_id())
    order by s.id
  );
  perform app_private.revoke_sessions(v_ended, 'log_out_everywhere');
  perform app_private.void_pending_changes(v_user_id);
  perform app_private.log_security_event('logged_out', v_user_id, e.id, app_private.request_client())
  from unnest(v_ended) as e(id);
end;
$$;

create or replace function app_public.unlink_oauth2_credential(id int) returns app_public.oauth2_credentials
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_credential app_public.oauth2_credentials;
begin
  -- Two at once take turns, so that they cannot both be the last but one.
  perform app_private.lock_user(app_public.current_user_id(), app_public.current_session_id());
  select * into v_credential
  from app_public.oauth2_credentials c
  where c.id = unlink_oauth2_credential.id and c.user_id = app_public.current_user_id();
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such credential.';
  end if;
  if not app_private.has_other_way_in(v_credential) then
    raise exception using
      errcode = 'HWCFL',
      message = 'This is the only way to log in to this account.',
      hint = 'Verify an e-mail address or phone number (updateMe) and set a password with requestPasswordReset, or link another account first.';
  end if;
  perform app_private.remove_identity(
    v_credential, app_public.current_session_id(), app_private.request_client()
  );
  return v_credential;
end;
$$;

create or replace function app_private.resolve_identity(
  i app_private.identity, signed_in_user_id int, client jsonb, out outcome text, out user_id int
)
language plpgsql volatile
as $$
declare
  v_email citext = app_hidden.normalize_email(i.email);
  v_user app_public.users;
begin
  -- The same person in two tabs takes turns.
  perform pg_advisory_xact_lock(hashtextextended(i.provider || ' ' || i.subject, 0));
  perform app_private.adopt_imported_identity(i);
  v_user := app_private.owner_of(i);
  if v_user.id is not null then
    user_id := v_user.id;
    outcome := case when user_id <> signed_in_user_id then 'foreign' else 'known' end;
    if outcome = 'known' and i.email_verified then
      update app_public.users u set email_verified = true where u.id = v_user.id and u.email = v_email;
    end if;
    return;
  end if;

  if signed_in_user_id is not null then
    perform app_private.lock_user(signed_in_user_id, (client ->> 'session_id')::int);
    user_id := signed_in_user_id;
    outcome := 'linked';
    return;
  end if;

  select * into v_user from app_public.users u
  where u.email = v_email and u.deleted_at is null for update;
  if found and i.email_verified and not v_user.email_verified
    and (v_user.phone_verified or app_private.is_disabled(v_user.id))
  then
    -- Somebody who has proven a phone, or is shut out, only typed this address in: it is their address no more.
    update app_public.users u set email = null where u.id = v_user.id;
    v_user := null;
  end if;
  if v_user.id is null then
    begin
      v_user := app_private.create_user_of(i);
      outcome := 'created';
    exception
      -- Somebody has signed up with this address at the same moment.
      when unique_violation then outcome := 'taken';
    end;
  elsif i.email_verified and not v_user.email_verified then
    perform app_private.evict(v_user);
    update app_public.users u set email_verified = true where u.id = v_user.id;
    outcome := 'linked';
  elsif i.email_verified then
    outcome := 'linked';
  else
    outcome := 'taken';
  end if;
  user_id := v_user.id;
end;
$$;

create or replace function app_public.register_device(
  token text, device_type app_public.device_type, kind app_public.device_token_kind default 'token'
) returns app_public.device_tokens
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_device app_public.device_tokens;
begin
  -- The user first, as whoever takes an account back does.
  perform from app_public.users u where u.id = app_public.current_user_id() for key share;
  -- A log-out that comes in between would not find the device that it has to disable.
  if app_public.current_session_id() is not null then
    perform from app_public.sessions s
    where s.id = app_public.current_session_id() and s.revoked_at is null for share;
    if not found then
      raise exception using errcode = 'HWREV', message = 'This session has ended.', hint = 'Log in again.';
    end if;
  end if;
  insert into app_public.device_tokens as d (user_id, session_id, token, device_type, kind)
  values (
    app_public.current_user_id(),
    app_public.current_session_id(),
    register_device.token,
    register_device.device_type,
    coalesce(register_device.kind, 'token')
  )
  on conflict on constraint device_tokens_token_unique do update
  set
    user_id = excluded.user_id,
    session_id = excluded.session_id,
    device_type = excluded.device_type,
    kind = excluded.kind,
    last_seen_at = now(),
    disabled_at = null,
    disabled_reason = null
  returning d.* into v_device;
  return v_device;
end;
$$;

create or replace function app_private.log_in(
  user_id int,
  identifier text,
  verified_password_hash text,
  rehashed_password text,
  client jsonb,
  refresh_token_hash bytea,
  confirmation_required boolean,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user app_public.users;
  v_claims jsonb;
begin
  -- The user first, as whoever takes an account back does.
  perform from app_public.users u where u.id = log_in.user_id for key share;
  -- Between Node's look at the hash and now, the password may have changed or the user gone.
  perform from app_private.user_secrets s
  where s.user_id = log_in.user_id and s.password_hash = verified_password_hash
  for update;
  if not found then
    return null;
  end if;
  select * into v_user
  from app_public.users u where u.id = log_in.user_id and u.deleted_at is null;
  if not found then
    return null;
  end if;
  if app_private.is_disabled(log_in.user_id) then
    perform app_private.log_security_event('log_in_failed', log_in.user_id, null, client);
    return null;
  end if;
  if confirmation_required and not (v_user.email_verified or v_user.phone_verified) then
    raise exception using
      errcode = 'HWFBD',
      message = 'This address has not been verified yet.',
      hint = 'Follow the link in the mail, or ask for another one.';
  end if;

  if rehashed_password is not null then
    update app_private.user_secrets s
    set password_hash = rehashed_password where s.user_id = log_in.user_id;
  end if;
  perform app_private.forget_attempts('log_in', app_private.log_in_target(identifier, client));

  v_claims := app_private.create_session(
    log_in.user_id, client, refresh_token_hash, issuer, audience
  );
  perform app_private.log_security_event(
    'logged_in', log_in.user_id, (v_claims ->> 'session_id')::int, client
  );
  return v_claims;
end;
$$;

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
  from app_public.users u where u.id = v_token.user_id and u.deleted_at is null for no key update;
  if not found or not app_private.may_reset(v_user, v_token.target) then
    return false;
  end if;
  -- The link came by this address, which proves it. Whoever signed up may be somebody else, who gave their own
  -- address beside it: it goes, with its link or code, before it can become a way into the account.
  if not v_user.email_verified and not v_user.phone_verified then
    delete from app_public.oauth2_credentials c where c.user_id = v_user.id;
  end if;
  update app_public.users u
  set
    email_verified = p.email,
    email = case when p.email then u.email end,
    phone_verified = p.phone,
    phone = case when p.phone then u.phone end
  from (
    select
      coalesce(v_user.email_verified or v_user.email = v_token.target::citext, false) as email,
      coalesce(v_user.phone_verified or v_user.phone = v_token.target, false) as phone
  ) as p
  where u.id = v_user.id;
  perform app_private.void_proofs(v_user.id);
  perform app_private.set_password(v_user.id, new_password_hash, null, 'password_reset');
  perform app_private.log_security_event('password_reset', v_user.id, null, client);
  return true;
end;
$$;

create or replace function app_private.may_reset(u app_public.users, address text) returns boolean
language sql stable
as $$
  select not app_private.is_disabled(u.id)
    and (
      (address is not distinct from u.phone and u.phone_verified)
      or (address::citext is not distinct from u.email and u.email_verified)
      or (
        (address is not distinct from u.phone or address::citext is not distinct from u.email)
        and not u.email_verified
        and not u.phone_verified
        and not exists (
          select from app_public.oauth2_credentials c
          where c.user_id = u.id and c.subject is not null and c.email is distinct from u.email
        )
      )
    );
$$;

comment on function app_private.may_reset(app_public.users, text) is
  'True for a proven address that the user still has, and for any of theirs where nothing of the account is proven: an identity with this very address counts as that. False for a disabled account.';
comment on function app_private.resolve_identity(app_private.identity, int, jsonb) is
  'Whose an identity is: known | linked (to the user who asks, or by an address that both sides verified) | created | taken (its address is another''s, who has to log in and link) | foreign (it is another user''s already). client: {ip, user_agent, device_info, session_id: of the user who asks}.';

-- An address that was only typed in does not stay with an account that is proven otherwise, however often a new
-- link is asked for: its owner could not sign up for good. A link that is good still makes it the user's.
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
    cross join lateral (
      -- Who was imported did not, and has longer: the time of a link.
      select exists (
        select from app_private.security_events e where e.user_id = o.id and e.kind = 'signed_up'
      ) as here
    ) signed_up
    where o.email is not null
      and not o.email_verified
      and o.deleted_at is null
      and o.created_at < now() - interval '24 hours'
      and case
        when exists (
          select from app_private.disabled_users d
          where d.user_id = o.id and d.disabled_at < now() - interval '24 hours'
        ) then true
        when signed_up.here then o.phone_verified or exists (
          select from app_public.oauth2_credentials c
          where c.user_id = o.id and c.subject is not null and c.email is distinct from o.email
        )
        else o.phone_verified and not exists (
          select from app_private.user_tokens t
          where t.user_id = o.id and t.purpose = 'email_verification' and t.expires_at > now()
        )
      end
    limit batch_size
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;

comment on function app_private.release_unproven_addresses(int) is
  'Frees e-mail addresses that were not proven within a day, of accounts that have a proven phone, signed up here and have an identity with another address, or have been disabled for a day. At most batch_size; 0 means done. Each hour.';
