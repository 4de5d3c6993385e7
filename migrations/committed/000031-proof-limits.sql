--! Previous: sha1:65f5dd63c367db00cb539db23a8af8245412d49b
--! Hash: sha1:b9612d80cea0a06f6a6a3d6102c74504331965fc
--! Message: proof limits

-- How often a link or code may be asked for is decided in one place: by the IP address, by the
-- address that it goes to, however that is written, and for codes by when the last one was asked for.

create or replace function app_private.proof_target(address text) returns text
language sql immutable parallel safe
as $$
  select lower(
    coalesce(
      case
        when position('@' in address) > 0 then app_hidden.normalize_email(address)::text
        else app_hidden.normalize_phone(address)
      end,
      ''
    )
  );
$$;
comment on function app_private.proof_target(text) is
  'What links and codes to an address are counted by: one for all ways to write it.';

create or replace function app_private.count_proof(
  address text, client jsonb, factor double precision
) returns int
language plpgsql volatile
as $$
declare
  v_wait int;
begin
  v_wait := app_private.count_attempt('proof_by_ip', coalesce(client ->> 'ip', ''), factor);
  -- Who may not ask any more does not use up what the owner of the address may ask for.
  if v_wait = 0 then
    v_wait := app_private.count_attempt('proof', app_private.proof_target(address), factor);
  end if;
  return v_wait;
end;
$$;
comment on function app_private.count_proof(text, jsonb, double precision) is
  'Counts an attempt to have a link or code sent to an address; 0 where it is let in, else seconds.';

create or replace function app_private.resend_wait(
  user_id int, purpose app_private.user_token_purpose, factor double precision
) returns int
language sql volatile
as $$
  select coalesce(
    max(
      ceil(extract(epoch from t.created_at + interval '60 seconds' / factor - clock_timestamp()))::int
    ),
    0
  )
  from app_private.user_tokens t
  where t.user_id = resend_wait.user_id
    and t.purpose = resend_wait.purpose
    and t.purpose = 'phone_verification'
    and t.used_at is null;
$$;
comment on function app_private.resend_wait(int, app_private.user_token_purpose, double precision) is
  'Seconds until a user may have the next code sent, 60 after the last one; not above 0 where they may. Links do not wait.';

create or replace function app_private.limit_proof(
  user_id int, purpose app_private.user_token_purpose, address text
) returns void
language plpgsql volatile
as $$
declare
  v_factor double precision = app_private.request_factor();
  v_wait int = app_private.resend_wait(user_id, purpose, v_factor);
begin
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM', message = 'A code was sent a moment ago.', detail = v_wait::text;
  end if;
  v_wait := app_private.count_proof(address, app_private.request_client(), v_factor);
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM', message = 'Too many messages to this address.', detail = v_wait::text;
  end if;
end;
$$;
comment on function app_private.limit_proof(int, app_private.user_token_purpose, text) is
  'Raises HWLIM (RATE_LIMITED) where a user has links or codes sent too often.';

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
  perform app_private.limit_proof(u.id, purpose, v_address);
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
  if u.email is not null then
    perform app_private.send_notice(
      u.id, case when v_is_email then 'email_change_requested' else 'phone_change_requested' end, u.email
    );
  end if;
  if u.phone is not null and (u.email is null or not v_is_email) then
    perform app_private.send_notice(
      u.id, case when v_is_email then 'email_change_requested' else 'phone_change_requested' end, u.phone
    );
  end if;
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
  perform app_private.limit_proof(v_user.id, purpose, v_target);
  perform app_private.request_proof(v_user.id, purpose, v_target);
end;
$$;
