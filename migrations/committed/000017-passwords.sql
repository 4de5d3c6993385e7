--! Previous: sha1:02786eab613bec4d55f64e0536ce6ca64cca3c82
--! Hash: sha1:6f756b980dc3aed58cc031e49100470e18cc2973
--! Message: passwords

-- A new password: by a link that was sent, or by the current one.

create or replace function app_private.request_password_reset(
  identifier text, client jsonb, factor double precision
) returns int
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_wait int;
begin
  v_wait := greatest(
    app_private.count_attempt('proof', lower(identifier), factor),
    app_private.count_attempt('proof_by_ip', coalesce(client ->> 'ip', ''), factor)
  );
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
comment on function app_private.request_password_reset(text, jsonb, double precision) is
  'Has a link sent that resets the password, where somebody has this identifier; answer and time are the same. Seconds to wait, or 0.';

create or replace function app_private.start_password_reset(identifier text, client jsonb) returns void
language plpgsql volatile
as $$
declare
  v_user app_public.users;
begin
  select * into v_user
  from app_public.users u where u.id = app_private.user_by_identifier(identifier);
  if not found then
    return;
  end if;
  perform app_private.request_proof(
    v_user.id,
    'password_reset',
    case when position('@' in identifier) > 0 then v_user.email::text else v_user.phone end
  );
  perform app_private.log_security_event('password_reset_requested', v_user.id, null, client);
end;
$$;
comment on function app_private.start_password_reset(text, jsonb) is
  'The worker''s half of request_password_reset: a link, good for 30 minutes, to who has this identifier.';

create or replace function app_private.set_password(
  user_id int, password_hash text, keep_session_id int, reason text
) returns void
language sql volatile
as $$
  insert into app_private.user_secrets as s (user_id, password_hash)
  values (set_password.user_id, set_password.password_hash)
  on conflict on constraint user_secrets_pkey do update
  set password_hash = excluded.password_hash, password_changed_at = now();
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
comment on function app_private.set_password(int, text, int, text) is
  'Stores a new hash, ends every session but one, and mails a notice.';

create or replace function app_private.reset_password(
  token_hash bytea, new_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
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
  perform app_private.set_password(v_token.user_id, new_password_hash, null, 'password_reset');
  -- The link came by this address: that is a proof of it as well.
  update app_public.users u
  set
    email_verified = u.email_verified or u.email is not distinct from v_token.target::citext,
    phone_verified = u.phone_verified or u.phone is not distinct from v_token.target
  where u.id = v_token.user_id;
  perform app_private.log_security_event('password_reset', v_token.user_id, null, client);
  return true;
end;
$$;
comment on function app_private.reset_password(bytea, text, jsonb) is
  'Uses a reset link (given as SHA-256) once: new password, all sessions end, nobody is logged in. False where it is not valid.';

create or replace function app_private.begin_reauthentication(
  user_id int, factor double precision, out retry_after int, out password_hash text
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  retry_after := app_private.count_attempt('reauthentication', user_id::text, factor);
  if retry_after = 0 then
    select s.password_hash into password_hash
    from app_private.user_secrets s where s.user_id = begin_reauthentication.user_id;
  end if;
end;
$$;
comment on function app_private.begin_reauthentication(int, double precision) is
  'For what asks a logged-in user for their password once more: counts the attempt, gives the hash.';

create or replace function app_private.change_password(
  user_id int, session_id int, verified_password_hash text, new_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
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
comment on function app_private.change_password(int, int, text, text, jsonb) is
  'A new password for who gave the current one (compared in Node); every other session ends. False where it has changed meanwhile.';

grant execute on function
  app_private.request_password_reset(text, jsonb, double precision),
  app_private.reset_password(bytea, text, jsonb),
  app_private.begin_reauthentication(int, double precision),
  app_private.change_password(int, int, text, text, jsonb)
to :DATABASE_AUTHENTICATOR;
