--! Previous: sha1:dbb18d1a53aeb90b292b402ddb54d737acdf9479
--! Hash: sha1:02786eab613bec4d55f64e0536ce6ca64cca3c82
--! Message: proofs

-- Proving an address, and getting in again by it. Links and codes are made by the task that sends
-- them: neither the queue nor this database ever holds one in clear.

create or replace function app_private.proof_lifetime(purpose app_private.user_token_purpose)
returns interval
language sql immutable parallel safe
as $$
  select case purpose
    when 'email_verification' then interval '24 hours'
    when 'phone_verification' then interval '10 minutes'
    when 'password_reset' then interval '30 minutes'
  end;
$$;
comment on function app_private.proof_lifetime(app_private.user_token_purpose) is
  'How long a link or code is good for, from when it is sent.';

create or replace function app_private.request_proof(
  user_id int, purpose app_private.user_token_purpose, target text
) returns void
language plpgsql volatile
as $$
begin
  -- Until the task has made the real one, the hash is of nothing: an older link is void at once.
  insert into app_private.user_tokens as t (user_id, purpose, target, token_hash, expires_at)
  values (
    request_proof.user_id,
    request_proof.purpose,
    request_proof.target,
    public.gen_random_bytes(32),
    now() + app_private.proof_lifetime(request_proof.purpose)
  )
  on conflict on constraint user_tokens_pkey do update
  set
    target = excluded.target,
    token_hash = excluded.token_hash,
    attempts = 0,
    created_at = now(),
    expires_at = excluded.expires_at,
    used_at = null;
  perform graphile_worker.add_job(
    'users__send_proof',
    json_build_object('userId', request_proof.user_id, 'purpose', request_proof.purpose),
    job_key := format('users__send_proof:%s:%s', request_proof.purpose, request_proof.user_id),
    max_attempts := 8
  );
end;
$$;
comment on function app_private.request_proof(int, app_private.user_token_purpose, text) is
  'Has a link or code sent to an address of a user; the ones before are void. Commits or rolls back with the caller.';

create or replace function app_private.arm_proof(
  user_id int, purpose app_private.user_token_purpose, token_hash bytea, out target text, out first_name text
)
language sql volatile
as $$
  update app_private.user_tokens t
  set
    token_hash = arm_proof.token_hash,
    expires_at = now() + app_private.proof_lifetime(arm_proof.purpose),
    attempts = 0
  from app_public.users u
  where t.user_id = arm_proof.user_id
    and t.purpose = arm_proof.purpose
    and t.used_at is null
    and u.id = t.user_id
    and u.deleted_at is null
  returning t.target, u.first_name;
$$;
comment on function app_private.arm_proof(int, app_private.user_token_purpose, bytea) is
  'For the task that sends: stores the hash of what it is about to send, and says to whom. Nulls where there is nothing to send any more.';

create or replace function app_private.send_notice(user_id int, notice text, recipient text) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'users__send_notice',
    json_build_object('userId', user_id, 'notice', notice, 'to', recipient),
    max_attempts := 8
  );
end;
$$;
comment on function app_private.send_notice(int, text, text) is
  'Has a mail sent that tells of a change: password_changed, password_reset, email_change_requested, phone_change_requested, sign_up_with_your_address.';

create or replace function app_private.request_address_change(
  u app_public.users, purpose app_private.user_token_purpose, address text
) returns void
language plpgsql volatile
as $$
declare
  v_is_email boolean = purpose = 'email_verification';
  v_address text = case
    when v_is_email then app_hidden.normalize_email(address)::text
    else app_hidden.normalize_phone(address)
  end;
  v_wait int;
begin
  if v_address is null then
    raise exception using
      errcode = 'HWINP',
      message = 'An address can be changed, not removed.',
      column = case when v_is_email then 'email' else 'phone' end;
  end if;
  if v_address = (case when v_is_email then u.email::text else u.phone end) then
    return;
  end if;
  v_wait := app_private.count_attempt('proof', v_address, app_private.request_factor());
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM', message = 'Too many messages to this address.', detail = v_wait::text;
  end if;
  -- The table's own rules for an address, before anything is sent there.
  begin
    update app_public.users p
    set
      email = case when v_is_email then v_address else p.email end,
      phone = case when v_is_email then p.phone else v_address end
    where p.id = u.id;
    raise exception using errcode = 'HWOK0';
  exception
    when sqlstate 'HWOK0' then null;
    -- Whether it is taken shows when it is proven: asking must not tell.
    when unique_violation then null;
  end;
  perform app_private.request_proof(u.id, purpose, v_address);
  perform app_private.log_security_event(
    'address_change_requested', u.id, app_public.current_session_id(), app_private.request_client()
  );
  if u.email is not null then
    perform app_private.send_notice(
      u.id, case when v_is_email then 'email_change_requested' else 'phone_change_requested' end, u.email
    );
  end if;
end;
$$;
comment on function app_private.request_address_change(
  app_public.users, app_private.user_token_purpose, text
) is 'Sends a proof to a new address and tells the old one; nothing changes until it is proven.';

create or replace function app_private.request_factor() returns double precision
language sql stable parallel safe
as $$
  select coalesce(nullif(current_setting('request.rate_limit_factor', true), '')::double precision, 1);
$$;
comment on function app_private.request_factor() is 'RATE_LIMIT_FACTOR, as the API sets it for its transactions.';

create or replace function app_private.request_verification(purpose app_private.user_token_purpose)
returns void
language plpgsql volatile
as $$
declare
  v_user app_public.users;
  v_pending text;
  v_target text;
  v_wait int;
begin
  select * into v_user from app_public.users u
  where u.id = app_public.current_user_id() and u.deleted_at is null for update;
  select t.target into v_pending from app_private.user_tokens t
  where t.user_id = v_user.id and t.purpose = request_verification.purpose and t.used_at is null;
  v_target := coalesce(
    v_pending,
    case
      when purpose = 'email_verification' and not v_user.email_verified then v_user.email::text
      when purpose = 'phone_verification' and not v_user.phone_verified then v_user.phone
    end
  );
  if v_target is null then
    raise exception using
      errcode = 'HWCFL',
      message = 'There is nothing to verify.',
      hint = 'Set an address with updateMe first.';
  end if;
  v_wait := app_private.count_attempt('proof', v_target, app_private.request_factor());
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM', message = 'Too many messages to this address.', detail = v_wait::text;
  end if;
  perform app_private.request_proof(v_user.id, purpose, v_target);
end;
$$;
comment on function app_private.request_verification(app_private.user_token_purpose) is
  'Sends a link or code to the pending address of the user who asks, or to the unverified one.';

create or replace function app_public.request_email_verification() returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.request_verification('email_verification');
$$;
comment on function app_public.request_email_verification() is
  'Sends a link to the e-mail address that waits to be proven; good for 24 hours.';

create or replace function app_public.request_phone_verification() returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.request_verification('phone_verification');
$$;
comment on function app_public.request_phone_verification() is
  'Sends a code of 6 digits to the phone number that waits to be proven; good for 10 minutes and 5 tries.';

create or replace function app_private.use_proof(
  u_id int, purpose app_private.user_token_purpose, target text
) returns app_public.users
language plpgsql volatile
as $$
declare
  v_user app_public.users;
begin
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
comment on function app_private.use_proof(int, app_private.user_token_purpose, text) is
  'The address is proven: it becomes the user''s.';

create or replace function app_public.verify_email(token text) returns app_public.users
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
begin
  update app_private.user_tokens t
  set used_at = now()
  where t.token_hash = sha256(convert_to(verify_email.token, 'utf8'))
    and t.purpose = 'email_verification'
    and t.used_at is null
    and t.expires_at > now()
  returning t.* into v_token;
  if not found then
    raise exception using
      errcode = 'HWINP',
      message = 'This link is not valid any more.',
      hint = 'Ask for another one.',
      column = 'token';
  end if;
  return app_private.use_proof(v_token.user_id, v_token.purpose, v_token.target);
end;
$$;
comment on function app_public.verify_email(text) is
  'Proves an e-mail address with the token of the link that was sent there; nobody needs to be logged in.';

-- The code is compared as an HMAC, made in Node; the try counts although it fails.
create or replace function app_private.verify_phone(
  user_id int, code_hash bytea, out outcome text, out verified_user_id int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
begin
  update app_private.user_tokens t
  set attempts = t.attempts + 1
  where t.user_id = verify_phone.user_id
    and t.purpose = 'phone_verification'
    and t.used_at is null
    and t.expires_at > now()
    and t.attempts < 5
  returning t.* into v_token;
  if not found or v_token.token_hash <> code_hash then
    outcome := 'wrong';
    return;
  end if;
  update app_private.user_tokens t
  set used_at = now() where t.user_id = v_token.user_id and t.purpose = v_token.purpose;
  verified_user_id := (app_private.use_proof(v_token.user_id, v_token.purpose, v_token.target)).id;
  outcome := 'verified';
end;
$$;
comment on function app_private.verify_phone(int, bytea) is
  'Compares a code (as HMAC) with the one that was sent: verified or wrong. Five tries; never raises for a wrong one, because the try has to commit.';

grant execute on function
  app_public.request_email_verification(), app_public.request_phone_verification()
to :DATABASE_USER;
grant execute on function app_public.verify_email(text) to :DATABASE_ANONYMOUS, :DATABASE_USER;
grant execute on function app_private.verify_phone(int, bytea) to :DATABASE_AUTHENTICATOR;
