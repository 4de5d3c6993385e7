--! Previous: sha1:7e2c22fb4f08c9d88aaa209bc50932dcf6bcdd9e
--! Hash: sha1:b85962acd5e0cb3be0e4cc14497add1ef41bb714
--! Message: proof limits

-- How often a link or code may be asked for: by address, by IP address, and for a code not twice a minute.

create or replace function app_private.ip_key(client jsonb) returns text
language sql immutable parallel safe
as $$
  -- One customer of a provider has 2^64 IPv6 addresses: their network counts.
  select case
    when client ->> 'ip' is null then ''
    when client ->> 'ip' ilike '::ffff:%.%' then substr(client ->> 'ip', 8)
    when family((client ->> 'ip')::inet) = 6 then network(set_masklen((client ->> 'ip')::inet, 64))::text
    else client ->> 'ip'
  end;
$$;
comment on function app_private.ip_key(jsonb) is
  'What attempts of a client are counted by: its IPv4 address, or the /64 network of its IPv6 address.';

create or replace function app_private.identifier_key(identifier text) returns text
language sql immutable parallel safe
as $$
  select lower(
    case
      when position('@' in identifier) > 0 then app_hidden.normalize_email(identifier)::text
      else app_hidden.normalize_phone(identifier)
    end
  );
$$;
comment on function app_private.identifier_key(text) is
  'An e-mail address or phone number in one spelling, for counting.';

create or replace function app_private.count_proof(target text, client jsonb, factor double precision)
returns int
language plpgsql volatile
as $$
declare
  v_wait int = app_private.count_attempt('proof_by_ip', app_private.ip_key(client), factor);
begin
  -- What is refused by IP address must not use up what its owner may ask for.
  if v_wait = 0 then
    v_wait := app_private.count_attempt(
      'proof', coalesce(app_private.identifier_key(target), ''), factor
    );
  end if;
  return v_wait;
end;
$$;
comment on function app_private.count_proof(text, jsonb, double precision) is
  'Counts a request for a link or code, by IP address and by target; seconds to wait, or 0.';

create or replace function app_private.log_in_target(identifier text, client jsonb) returns text
language sql immutable parallel safe
as $$
  -- The account and the address together: a stranger elsewhere cannot make a user wait.
  select concat_ws(' ', app_private.ip_key(client), app_private.identifier_key(identifier));
$$;

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

create or replace function app_private.begin_sign_up(client jsonb, factor double precision) returns int
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.count_attempt('sign_up_by_ip', app_private.ip_key(client), factor);
$$;

create or replace function app_private.begin_sign_in(client jsonb, factor double precision) returns int
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.count_attempt('log_in_by_ip', app_private.ip_key(client), factor);
$$;

create or replace function app_private.request_password_reset(
  identifier text, client jsonb, factor double precision
) returns int
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_wait int = app_private.count_proof(identifier, client, factor);
begin
  if v_wait = 0 then
    -- Whether somebody has this identifier is looked up by the worker: here it would show in the time.
    perform graphile_worker.add_job(
      'users__start_password_reset',
      json_build_object('identifier', identifier, 'client', client),
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
begin
  select t.created_at + interval '60 seconds' / v_factor into v_resend_at
  from app_private.user_tokens t
  where t.user_id = limit_proofs.user_id
    and t.purpose = limit_proofs.purpose
    and t.purpose = 'phone_verification'
    and t.used_at is null;
  v_wait := greatest(0, ceil(extract(epoch from v_resend_at - now())))::int;
  if v_wait = 0 then
    v_wait := app_private.count_proof(target, app_private.request_client(), v_factor);
  end if;
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM',
      message = format('Too many messages to this address. Try again in %s seconds.', v_wait),
      detail = v_wait::text;
  end if;
end;
$$;
comment on function app_private.limit_proofs(int, app_private.user_token_purpose, text) is
  'Raises HWLIM (RATE_LIMITED) where too many links or codes were asked for, or a code less than 60 seconds ago.';

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

create or replace function app_private.request_verification(purpose app_private.user_token_purpose)
returns void
language plpgsql volatile
as $$
declare
  v_user app_public.users;
  v_pending text;
  v_target text;
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
  perform app_private.limit_proofs(v_user.id, purpose, v_target);
  perform app_private.request_proof(v_user.id, purpose, v_target);
end;
$$;
