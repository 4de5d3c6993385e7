--! Previous: sha1:730b3b44c7a5a4279a068ce850713bbc7bc2c9e7
--! Hash: sha1:81d39dd49e11184635a8d997d09c965331ad50ae
--! Message: proof limits

-- How often a link or code may be asked for: by address, by IP address, and for a code not twice a minute.

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
    v_wait := greatest(
      app_private.count_attempt('proof', lower(target), v_factor),
      app_private.count_attempt(
        'proof_by_ip', coalesce(app_private.request_client() ->> 'ip', ''), v_factor
      )
    );
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
  if u.email is not null then
    perform app_private.send_notice(
      u.id, case when v_is_email then 'email_change_requested' else 'phone_change_requested' end, u.email
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
  perform app_private.limit_proofs(v_user.id, purpose, v_target);
  perform app_private.request_proof(v_user.id, purpose, v_target);
end;
$$;
