--! Previous: sha1:7d349a512c9bd1c9947402692ae1f9cd8d6574a7
--! Hash: sha1:2775fa294b1dc00ad73cc3d97f9edd907ef21751
--! Message: accounts

-- Sign-up, log-in and log-out. Node hashes and compares passwords and makes the tokens; all else is here.

create or replace function app_hidden.normalize_email(email text) returns citext
language sql immutable parallel safe
as $$
  select nullif(normalize(btrim(email), nfc), '')::citext;
$$;
comment on function app_hidden.normalize_email(text) is
  'Trimmed and in Unicode form NFC; dots and plus parts stay. Case is kept, and ignored in comparisons.';

create or replace function app_hidden.normalize_phone(phone text) returns text
language sql immutable parallel safe
as $$
  select nullif(regexp_replace(phone, '[[:space:]().-]', '', 'g'), '');
$$;
comment on function app_hidden.normalize_phone(text) is 'Without the blanks, dots, dashes and brackets that people write.';

create or replace function app_private.user_by_identifier(identifier text) returns int
language sql stable
as $$
  select u.id from app_public.users u
  where u.deleted_at is null
    and case
      when position('@' in identifier) > 0 then u.email = app_hidden.normalize_email(identifier)
      else u.phone = app_hidden.normalize_phone(identifier)
    end;
$$;
comment on function app_private.user_by_identifier(text) is 'The living user with this e-mail address or phone number.';

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
declare
  v_target text = app_private.log_in_target(identifier, client);
begin
  retry_after := greatest(
    app_private.count_attempt('log_in', v_target, factor),
    app_private.count_attempt('log_in_by_ip', coalesce(client ->> 'ip', ''), factor)
  );
  if retry_after > 0 then
    return;
  end if;
  user_id := app_private.user_by_identifier(identifier);
  select s.password_hash into password_hash
  from app_private.user_secrets s where s.user_id = begin_log_in.user_id;
end;
$$;
comment on function app_private.begin_log_in(text, jsonb, double precision) is
  'Counts an attempt to log in; where it is let in (retry_after 0), the user and the hash that Node compares the password with. Unknown identifiers are counted alike.';

create or replace function app_private.log_in_target(identifier text, client jsonb) returns text
language sql immutable parallel safe
as $$
  -- The account and the address together: a stranger elsewhere cannot make a user wait.
  select concat_ws(
    ' ',
    client ->> 'ip',
    lower(
      case
        when position('@' in identifier) > 0 then app_hidden.normalize_email(identifier)::text
        else app_hidden.normalize_phone(identifier)
      end
    )
  );
$$;
comment on function app_private.log_in_target(text, jsonb) is 'What attempts to log in are counted by.';

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
  'Creates a user with their first session; returns the access token''s claims. A taken address is 23505. With confirmation_required: null in both cases, and a mail either way. person: {first_name, last_name, email, phone, timezone}.';

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
comment on function app_private.log_in(int, text, text, text, jsonb, bytea, boolean, text, text) is
  'Opens a session for who gave the right password (compared in Node) and stores the rehash, if one is due. Null where the password has changed meanwhile.';

create or replace function app_private.fail_log_in(user_id int, client jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.log_security_event('log_in_failed', user_id, null, client);
$$;
comment on function app_private.fail_log_in(int, jsonb) is
  'Writes a failed log-in to the security log; user_id is null where nobody has that identifier.';

create or replace function app_private.begin_sign_up(client jsonb, factor double precision) returns int
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.count_attempt('sign_up_by_ip', coalesce(client ->> 'ip', ''), factor);
$$;
comment on function app_private.begin_sign_up(jsonb, double precision) is
  'Counts an attempt to sign up; 0 where it is let in, else seconds.';

-- These return hashes and claims: for the API itself, never for the role of a request.
grant execute on function
  app_private.begin_log_in(text, jsonb, double precision),
  app_private.log_in(int, text, text, text, jsonb, bytea, boolean, text, text),
  app_private.fail_log_in(int, jsonb),
  app_private.begin_sign_up(jsonb, double precision),
  app_private.sign_up(jsonb, text, jsonb, bytea, boolean, text, text)
to :DATABASE_AUTHENTICATOR;

create or replace function app_public.log_out() returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.revoke_sessions(array[app_public.current_session_id()], 'log_out');
  perform app_private.log_security_event(
    'logged_out',
    app_public.current_user_id(),
    app_public.current_session_id(),
    app_private.request_client()
  );
end;
$$;
comment on function app_public.log_out() is
  'Ends the session that asks: its tokens are refused at once, its device gets no more pushes.';
grant execute on function app_public.log_out() to :DATABASE_USER;

-- Absent keys keep their value, null empties: what a composite argument could not tell apart.
create or replace function app_public.update_me(patch jsonb) returns app_public.users
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user app_public.users;
begin
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
comment on function app_public.update_me(jsonb) is
  E'@behavior -mutationField\nChanges the user who asks; absent keys stay as they are. The API wraps it in a typed input.';
grant execute on function app_public.update_me(jsonb) to :DATABASE_USER;

create or replace function app_private.tg_users__deleted() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.revoke_sessions(
    array(select s.id from app_public.sessions s where s.user_id = new.id), 'user_deleted'
  );
  delete from app_private.user_secrets where user_id = new.id;
  delete from app_private.user_tokens where user_id = new.id;
  delete from app_private.operators where user_id = new.id;
  return null;
end;
$$;
comment on function app_private.tg_users__deleted() is
  'Trigger: a closed account keeps no session, password, token or right.';
create trigger _500_deleted
  after update of deleted_at on app_public.users
  for each row when (old.deleted_at is null and new.deleted_at is not null)
  execute function app_private.tg_users__deleted();
