--! Previous: sha1:0dc2684585329527cdbc91fd75fe6895a21da3c8
--! Hash: sha1:6cd0e6b26f44e2d765213d8ce40cd7c06cacb41d
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

create or replace function app_private.find_user_for_log_in(
  identifier text, out user_id int, out password_hash text
) returns setof record
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select u.id, s.password_hash
  from app_public.users u
  join app_private.user_secrets s on s.user_id = u.id
  where u.deleted_at is null
    and case
      when position('@' in identifier) > 0 then u.email = app_hidden.normalize_email(identifier)
      else u.phone = app_hidden.normalize_phone(identifier)
    end;
$$;
comment on function app_private.find_user_for_log_in(text) is
  'The living user with this e-mail or phone, and the hash that Node compares the password with.';

create or replace function app_private.sign_up(
  first_name text,
  last_name text,
  email text,
  phone text,
  timezone text,
  password_hash text,
  device_info text,
  ip_address inet,
  refresh_token_hash bytea,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_email citext = app_hidden.normalize_email(email);
  v_phone text = app_hidden.normalize_phone(phone);
  v_user_id int;
begin
  if v_email is null and v_phone is null then
    raise exception using
      errcode = 'HWINP',
      message = 'An account needs an e-mail address or a phone number.',
      column = 'email';
  end if;

  insert into app_public.users (first_name, last_name, email, phone, timezone)
  values (
    btrim(sign_up.first_name),
    nullif(btrim(sign_up.last_name), ''),
    v_email,
    v_phone,
    coalesce(sign_up.timezone, 'UTC')
  )
  returning id into v_user_id;

  insert into app_private.user_secrets (user_id, password_hash)
  values (v_user_id, sign_up.password_hash);

  return app_private.create_session(
    v_user_id, device_info, ip_address, refresh_token_hash, issuer, audience
  );
end;
$$;
comment on function app_private.sign_up(
  text, text, text, text, text, text, text, inet, bytea, text, text
) is 'Creates a user with their first session; returns the access token''s claims. A taken address is 23505.';

create or replace function app_private.log_in(
  user_id int,
  verified_password_hash text,
  rehashed_password text,
  device_info text,
  ip_address inet,
  refresh_token_hash bytea,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- Between Node's look at the hash and now, the password may have changed or the user gone.
  perform from app_private.user_secrets s
  join app_public.users u on u.id = s.user_id
  where s.user_id = log_in.user_id
    and s.password_hash = verified_password_hash
    and u.deleted_at is null
  for update of s;
  if not found then
    return null;
  end if;

  if rehashed_password is not null then
    update app_private.user_secrets s
    set password_hash = rehashed_password where s.user_id = log_in.user_id;
  end if;

  return app_private.create_session(
    log_in.user_id, device_info, ip_address, refresh_token_hash, issuer, audience
  );
end;
$$;
comment on function app_private.log_in(int, text, text, text, inet, bytea, text, text) is
  'Opens a session for who gave the right password (compared in Node) and stores the rehash, if one is due. Null where the password has changed meanwhile.';

-- These return hashes and claims: for the API itself, never for the role of a request.
grant execute on function
  app_private.find_user_for_log_in(text),
  app_private.sign_up(text, text, text, text, text, text, text, inet, bytea, text, text),
  app_private.log_in(int, text, text, text, inet, bytea, text, text)
to :DATABASE_AUTHENTICATOR;

create or replace function app_public.log_out() returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.revoke_sessions(array[app_public.current_session_id()], 'log_out');
$$;
comment on function app_public.log_out() is
  'Ends the session that asks: its tokens are refused at once, its device gets no more pushes.';
grant execute on function app_public.log_out() to :DATABASE_USER;

-- Absent keys keep their value, null empties: what a composite argument could not tell apart.
create or replace function app_public.update_me(patch jsonb) returns app_public.users
language sql volatile
as $$
  update app_public.users u
  set
    first_name = case when patch ? 'first_name' then btrim(patch ->> 'first_name') else u.first_name end,
    last_name = case when patch ? 'last_name' then nullif(btrim(patch ->> 'last_name'), '') else u.last_name end,
    picture = case when patch ? 'picture' then nullif(patch ->> 'picture', '') else u.picture end,
    timezone = case when patch ? 'timezone' then patch ->> 'timezone' else u.timezone end
  where u.id = app_public.current_user_id()
  returning u.*;
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
