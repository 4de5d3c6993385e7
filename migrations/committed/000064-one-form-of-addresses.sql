--! Previous: sha1:bc1ae26847e8a62624f38d265eb3b5f1682614d5
--! Hash: sha1:e89ffcac4a47c5367080fa703fe483fc6c040aa9
--! Message: one form of addresses

-- One mailbox is one address, whatever way it is written; and what strangers try does not use up what is a user's own.

-- U+0130 is the one letter outside ASCII that lower(), and so citext, takes for a letter of ASCII. A domain is read
-- in compatibility form (UTS #46), so that is how it is kept.
create or replace function app_hidden.normalize_email(email text) returns citext
language sql immutable parallel safe
as $$
  select nullif(
    normalize(substring(a.address from '^(.*@)'), nfc)
      || normalize(substring(a.address from '([^@]*)$'), nfkc),
    ''
  )::citext
  from (select replace(btrim(normalize_email.email), U&'\0130', U&'i\0307') as address) a
  where position('@' in a.address) > 0
  union all
  select nullif(normalize(btrim(normalize_email.email), nfc), '')::citext
  where position('@' in normalize_email.email) = 0;
$$;
comment on function app_hidden.normalize_email(text) is
  'Trimmed, in Unicode form NFC, the domain in NFKC as mail software reads it (UTS #46); dots and plus parts stay. Case is kept, and ignored in comparisons.';

update app_public.users u
set email = app_hidden.normalize_email(u.email::text)
where u.email::text <> app_hidden.normalize_email(u.email::text)::text;

alter table app_public.users
  add constraint users_email_canonical check (
    email::text is nfc normalized
    and split_part(email::text, '@', 2) is nfkc normalized
    -- Blanks of all kinds, the default ignorable code points, and the letter of normalize_email().
    and email::text !~ '[\u0085\u00a0\u00ad\u0130\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]'
    and split_part(email::text, '@', 2) !~ '[!-,/:-@\[-^`{-~\u3002]'
    and email::text !~* '[@.]xn--'
  ) not valid;
comment on constraint users_email_canonical on app_public.users is
  'An e-mail address has no characters that nobody sees, and its domain is written in its own letters, not as xn--.';

-- A code is bound to its user: what others try has tries of its own.
alter table app_private.user_tokens
  add column asked_from text,
  add column stray_attempts int not null default 0;
comment on column app_private.user_tokens.attempts is
  'Wrong codes by the user: in one of their sessions, or from where the code was asked for.';
comment on column app_private.user_tokens.asked_from is
  'From where it was asked for, as ip_key() has it; null where that is not known.';
comment on column app_private.user_tokens.stray_attempts is
  'Wrong codes from elsewhere, without a session.';

create or replace function app_private.request_proof(
  user_id int, purpose app_private.user_token_purpose, target text
) returns void
language plpgsql volatile
as $$
begin
  -- Until the task has made the real one, the hash is of nothing: an older link is void at once.
  insert into app_private.user_tokens as t (user_id, purpose, target, token_hash, expires_at, asked_from)
  values (
    request_proof.user_id,
    request_proof.purpose,
    request_proof.target,
    public.gen_random_bytes(32),
    now() + app_private.proof_lifetime(request_proof.purpose),
    nullif(app_private.ip_key(app_private.request_client()), '')
  )
  on conflict on constraint user_tokens_pkey do update
  set
    target = excluded.target,
    token_hash = excluded.token_hash,
    attempts = 0,
    stray_attempts = 0,
    asked_from = excluded.asked_from,
    created_at = now(),
    expires_at = excluded.expires_at,
    used_at = null;
  perform graphile_worker.add_job(
    'users__send_proof',
    app_private.job_payload(
      json_build_object('userId', request_proof.user_id, 'purpose', request_proof.purpose)
    ),
    job_key := format('users__send_proof:%s:%s', request_proof.purpose, request_proof.user_id),
    max_attempts := 8
  );
end;
$$;

create or replace function app_private.arm_proof(
  user_id int, purpose app_private.user_token_purpose, token_hash bytea, out target text, out first_name text
)
language sql volatile
as $$
  update app_private.user_tokens t
  set
    token_hash = arm_proof.token_hash,
    expires_at = now() + app_private.proof_lifetime(arm_proof.purpose),
    attempts = 0,
    stray_attempts = 0
  from app_public.users u
  where t.user_id = arm_proof.user_id
    and t.purpose = arm_proof.purpose
    and t.used_at is null
    and u.id = t.user_id
    and u.deleted_at is null
  returning t.target, u.first_name;
$$;

create or replace function app_private.act_for(client jsonb, session_id int default null) returns void
language sql volatile
as $$
  select set_config('request.ip', coalesce(client ->> 'ip', ''), true);
  select set_config('request.user_agent', coalesce(client ->> 'user_agent', ''), true);
  select set_config('jwt.claims.session_id', coalesce(session_id::text, ''), true);
$$;
comment on function app_private.act_for(jsonb, int) is
  'For what the API calls outside of a request''s own transaction: request_client() and current_session_id() are those of the request.';

create or replace function app_private.verify_phone(
  user_id int,
  code_hash bytea,
  client jsonb,
  session_id int,
  out outcome text,
  out verified_user_id int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
begin
  update app_private.user_tokens t
  set
    attempts = t.attempts + 1 - f.is_stray,
    stray_attempts = t.stray_attempts + f.is_stray
  from (
    select (
      verify_phone.client is not null
      and verify_phone.session_id is null
      and s.asked_from is distinct from app_private.ip_key(verify_phone.client)
    )::int as is_stray
    from app_private.user_tokens s
    where s.user_id = verify_phone.user_id and s.purpose = 'phone_verification'
  ) f
  where t.user_id = verify_phone.user_id
    and t.purpose = 'phone_verification'
    and t.used_at is null
    and t.expires_at > now()
    and case when f.is_stray = 1 then t.stray_attempts else t.attempts end < 5
  returning t.* into v_token;
  if not found or v_token.token_hash <> code_hash then
    outcome := 'wrong';
    return;
  end if;
  update app_private.user_tokens t
  set used_at = now() where t.user_id = v_token.user_id and t.purpose = v_token.purpose;
  if client is not null then
    perform app_private.act_for(client, session_id);
  end if;
  verified_user_id := (app_private.use_proof(v_token.user_id, v_token.purpose, v_token.target)).id;
  outcome := 'verified';
end;
$$;
comment on function app_private.verify_phone(int, bytea, jsonb, int) is
  'Compares a code (as HMAC) with the one that was sent: verified or wrong. Five tries for the user, and five for whoever has no session and comes from elsewhere than the code was asked for; never raises for a wrong one, because the try has to commit. client: {ip, user_agent}.';
grant execute on function app_private.verify_phone(int, bytea, jsonb, int) to :DATABASE_AUTHENTICATOR;

create or replace function app_private.verify_phone(
  user_id int, code_hash bytea, out outcome text, out verified_user_id int
)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select v.outcome, v.verified_user_id
  from app_private.verify_phone(verify_phone.user_id, verify_phone.code_hash, null, null) v;
$$;
comment on function app_private.verify_phone(int, bytea) is
  'The same for an API of an earlier version, which does not say who tries: it still runs while this is applied.';

-- Links and codes are counted by what they are for: whoever may ask for a reset of another's password does not use
-- up what its owner needs to prove the address.
create or replace function app_private.request_password_reset(
  identifier text, client jsonb, factor double precision
) returns int
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_wait int = app_private.count_proof(
    'reset ' || app_private.identifier_key(identifier), client, factor
  );
begin
  if v_wait = 0 then
    -- Whether somebody has this identifier is looked up by the worker: here it would show in the time.
    perform graphile_worker.add_job(
      'users__start_password_reset',
      app_private.job_payload(json_build_object('identifier', identifier, 'client', client)),
      max_attempts := 8
    );
  end if;
  return v_wait;
end;
$$;

create or replace function app_private.limit_proofs(
  user_id int, purpose app_private.user_token_purpose, target text
) returns void
language plpgsql volatile
as $$
declare
  v_factor double precision = app_private.request_factor();
  v_resend_at timestamptz;
  v_wait int;
  v_reason text = 'A code was sent to this number less than 60 seconds ago.';
begin
  select t.created_at + interval '60 seconds' / v_factor into v_resend_at
  from app_private.user_tokens t
  where t.user_id = limit_proofs.user_id
    and t.purpose = limit_proofs.purpose
    and t.purpose = 'phone_verification'
    and t.used_at is null;
  v_wait := greatest(0, ceil(extract(epoch from v_resend_at - now())))::int;
  if v_wait = 0 then
    v_reason := 'Too many links or codes were asked for.';
    v_wait := app_private.count_proof(
      'verification ' || app_private.identifier_key(target), app_private.request_client(), v_factor
    );
  end if;
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM',
      message = format('%s Try again in %s seconds.', v_reason, v_wait),
      detail = v_wait::text;
  end if;
end;
$$;
comment on function app_private.count_proof(text, jsonb, double precision) is
  'Counts a request for a link or code, by IP address, and by target: what it is for, and the address that gets it. Seconds to wait, or 0.';

-- What is wrong with a log-in whatever the password is said before it is compared.
create or replace function app_private.begin_log_in(
  identifier text,
  client jsonb,
  factor double precision,
  out retry_after int,
  out user_id int,
  out password_hash text
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if length(client ->> 'device_info') > 500 then
    raise exception using
      errcode = 'HWINP', message = 'Device info has at most 500 characters.', column = 'device_info';
  end if;
  retry_after := greatest(
    app_private.count_attempt('log_in', app_private.log_in_target(identifier, client), factor),
    app_private.count_attempt('log_in_by_ip', app_private.ip_key(client), factor)
  );
  if retry_after > 0 then
    return;
  end if;
  user_id := app_private.user_by_identifier(identifier);
  select s.password_hash into password_hash
  from app_private.user_secrets s where s.user_id = begin_log_in.user_id;
end;
$$;

create or replace function app_private.sign_up(
  person jsonb,
  password_hash text,
  client jsonb,
  refresh_token_hash bytea,
  confirmation_required boolean,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_email citext = app_hidden.normalize_email(person ->> 'email');
  v_phone text = app_hidden.normalize_phone(person ->> 'phone');
  v_user_id int;
  v_claims jsonb;
begin
  if v_email is null and v_phone is null then
    raise exception using
      errcode = 'HWINP',
      message = 'An account needs an e-mail address or a phone number.',
      column = 'email';
  end if;
  -- What comes to the one would tell whether the other is taken.
  if confirmation_required and v_email is not null and v_phone is not null then
    raise exception using
      errcode = 'HWINP',
      message = 'Sign up with an e-mail address or with a phone number, not with both.',
      hint = 'Add the other one by updateMe after the log-in.',
      column = 'phone';
  end if;

  begin
    insert into app_public.users (first_name, last_name, email, phone, timezone)
    values (
      btrim(person ->> 'first_name'),
      nullif(btrim(person ->> 'last_name'), ''),
      v_email,
      v_phone,
      coalesce(person ->> 'timezone', 'UTC')
    )
    returning id into v_user_id;
  exception
    when unique_violation then
      if not confirmation_required then
        raise;
      end if;
      -- The same answer as for a new address; who owns it is told.
      perform app_private.send_notice(u.id, 'sign_up_with_your_address', u.email)
      from app_public.users u
      where u.deleted_at is null and (u.email = v_email or u.phone = v_phone) and u.email is not null;
      return null;
  end;

  insert into app_private.user_secrets (user_id, password_hash)
  values (v_user_id, sign_up.password_hash);
  perform app_private.act_for(client);
  if v_email is not null then
    perform app_private.request_proof(v_user_id, 'email_verification', v_email);
  end if;
  if v_phone is not null then
    perform app_private.request_proof(v_user_id, 'phone_verification', v_phone);
  end if;

  if confirmation_required then
    perform app_private.log_security_event('signed_up', v_user_id, null, client);
    return null;
  end if;
  v_claims := app_private.create_session(
    v_user_id, client, refresh_token_hash, issuer, audience
  );
  perform app_private.log_security_event(
    'signed_up', v_user_id, (v_claims ->> 'session_id')::int, client
  );
  return v_claims;
end;
$$;
comment on function app_private.sign_up(jsonb, text, jsonb, bytea, boolean, text, text) is
  'Creates a user with their first session; returns the access token''s claims. A taken address is 23505. With confirmation_required: one address, null in both cases, and a mail either way. person: {first_name, last_name, email, phone, timezone}.';

-- Changes of an address that wait for a proof: seen by their user, and taken back by giving the address that is in force.
create or replace function app_private.pending_address(
  user_id int, purpose app_private.user_token_purpose
) returns text
language sql stable
as $$
  select t.target
  from app_private.user_tokens t
  join app_public.users u on u.id = t.user_id
  where t.user_id = pending_address.user_id
    and t.purpose = pending_address.purpose
    and t.used_at is null
    and t.expires_at > now()
    and t.target is distinct from case
      when pending_address.purpose = 'email_verification' then u.email::text
      else u.phone
    end;
$$;
comment on function app_private.pending_address(int, app_private.user_token_purpose) is
  'The address that becomes the user''s when the link or code that was sent there is used; null where none waits.';

create or replace function app_public.users_pending_email(u app_public.users) returns text
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.pending_address(u.id, 'email_verification')
  where u.id = app_public.current_user_id();
$$;
comment on function app_public.users_pending_email(app_public.users) is
  'The e-mail address that replaces the present one when its link is used; for the user themself.';

create or replace function app_public.users_pending_phone(u app_public.users) returns text
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.pending_address(u.id, 'phone_verification')
  where u.id = app_public.current_user_id();
$$;
comment on function app_public.users_pending_phone(app_public.users) is
  'The phone number that replaces the present one when its code is used; for the user themself.';
grant execute on function
  app_public.users_pending_email(app_public.users), app_public.users_pending_phone(app_public.users)
to :DATABASE_USER;

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
begin
  if v_address is null then
    raise exception using
      errcode = 'HWINP',
      message = 'An address can be changed, not removed.',
      column = case when v_is_email then 'email' else 'phone' end;
  end if;
  if v_address = (case when v_is_email then u.email::text else u.phone end) then
    delete from app_private.user_tokens t
    where t.user_id = u.id
      and t.purpose = request_address_change.purpose
      and t.used_at is null
      and t.target <> v_address;
    return;
  end if;
  perform app_private.limit_proofs(u.id, purpose, v_address);
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
  -- The mailbox is told of both; the phone only where there is no mailbox, or it is the one to go.
  perform app_private.send_notice(
    u.id,
    case when v_is_email then 'email_change_requested' else 'phone_change_requested' end,
    o.address
  )
  from (
    select u.email::text where u.email is not null
    union all
    select u.phone where u.phone is not null and (u.email is null or not v_is_email)
  ) as o(address);
end;
$$;
comment on function app_private.request_address_change(
  app_public.users, app_private.user_token_purpose, text
) is
  'Sends a proof to a new address and tells the old one; nothing changes until it is proven. The address in force takes back a change that waits.';

create or replace function app_private.request_verification(purpose app_private.user_token_purpose)
returns void
language plpgsql volatile
as $$
declare
  v_is_email boolean = purpose = 'email_verification';
  v_user app_public.users;
  v_target text;
begin
  select * into v_user from app_public.users u
  where u.id = app_public.current_user_id() and u.deleted_at is null for update;
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

create or replace function app_public.export_my_data() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
begin
  perform app_private.log_security_event(
    'data_exported', v_user_id, app_public.current_session_id(), app_private.request_client()
  );
  return app_private.export_user(v_user_id) || jsonb_build_object(
    'pending_email', app_private.pending_address(v_user_id, 'email_verification'),
    'pending_phone', app_private.pending_address(v_user_id, 'phone_verification'),
    'notification_preferences', (
      select coalesce(jsonb_agg(to_jsonb(p) order by p.event), '[]')
      from app_public.notification_preferences p where p.user_id = v_user_id
    ),
    'quiet_hours', (
      select to_jsonb(q) from app_public.quiet_hours q where q.user_id = v_user_id
    )
  );
end;
$$;

-- A disabled account can do nothing, so nothing leads there.
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
          select from app_public.oauth2_credentials c where c.user_id = u.id and c.subject is not null
        )
      )
    );
$$;
comment on function app_private.may_reset(app_public.users, text) is
  'True for a proven address that the user still has, and for any of theirs where nothing of the account is proven. False for a disabled account.';

-- The security log names each session that ended.
create or replace function app_public.log_out_everywhere(keep_current boolean default false) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
  v_ended int[] = array(
    select s.id from app_public.sessions s
    where s.user_id = v_user_id
      and s.revoked_at is null
      and s.expires_at > now()
      and not (coalesce(keep_current, false) and s.id = app_public.current_session_id())
    order by s.id
  );
begin
  perform app_private.revoke_sessions(v_ended, 'log_out_everywhere');
  perform app_private.void_pending_changes(v_user_id);
  perform app_private.log_security_event('logged_out', v_user_id, e.id, app_private.request_client())
  from unnest(v_ended) as e(id);
end;
$$;

create or replace function app_private.create_session(
  user_id int,
  client jsonb,
  refresh_token_hash bytea,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile
as $$
declare
  v_session app_public.sessions;
  v_ended int[];
begin
  insert into app_public.sessions (user_id, device_info, ip_address)
  values (create_session.user_id, client ->> 'device_info', (client ->> 'ip')::inet)
  returning * into v_session;

  -- At most 20 live ones: the one that was used longest ago goes.
  v_ended := array(
    select s.id from app_public.sessions s
    where s.user_id = create_session.user_id and s.revoked_at is null and s.expires_at > now()
    order by s.id = v_session.id desc, s.last_used_at desc, s.id desc
    offset 20
  );
  perform app_private.revoke_sessions(v_ended, 'too_many_sessions');
  perform app_private.log_security_event('session_revoked', create_session.user_id, e.id, client)
  from unnest(v_ended) as e(id);

  insert into app_private.refresh_tokens (session_id, token_hash, expires_at)
  values (v_session.id, refresh_token_hash, now() + interval '30 days');

  update app_public.users u set last_logged_in = now() where u.id = create_session.user_id;

  return app_private.access_token_claims(v_session.id, issuer, audience);
end;
$$;

create or replace function app_public.unlink_oauth2_credential(id int) returns app_public.oauth2_credentials
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_credential app_public.oauth2_credentials;
begin
  -- Two at once take turns, so that they cannot both be the last but one.
  perform from app_public.users u where u.id = app_public.current_user_id() for update;
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
