--! Previous: sha1:e6d6b9bc7b07fee82529a6ae0853993365d7d880
--! Hash: sha1:aa411b29b3a02f1ee9b777ba8098846a7e2c0e5f
--! Message: disabled-users

-- An account that an operator has shut, until they open it again: nobody logs in to it, its sessions end, and its
-- devices get nothing. Nothing of it is lost, and its addresses stay taken.

alter type app_public.security_event_kind add value if not exists 'account_disabled';
alter type app_public.security_event_kind add value if not exists 'account_enabled';

-- Beside the users, as operators are: no request reads it, and no column needs hiding.
create table if not exists app_private.disabled_users (
  user_id int not null,
  reason text,
  disabled_at timestamptz not null default now(),
  constraint disabled_users_pkey primary key (user_id),
  constraint disabled_users_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint disabled_users_reason_length check (length(reason) <= 500)
);
alter table app_private.disabled_users enable row level security;
comment on table app_private.disabled_users is
  'Accounts that an operator has shut: `npm run howdah -- user:disable`, never through the API. No policy, no grant: definer functions only.';
comment on column app_private.disabled_users.reason is 'For the next operator who looks; the user is not told.';

create or replace function app_private.is_disabled(user_id int) returns boolean
language sql stable
as $$
  select exists (select from app_private.disabled_users d where d.user_id = is_disabled.user_id);
$$;
comment on function app_private.is_disabled(int) is 'True for an account that an operator has shut.';

-- A disabled account has no session that lives and gets none: what runs for each request need not ask.
create or replace function app_private.tg_sessions__refuse_disabled() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- Who disables the account at this moment waits for us and then ends this session, or we see what they did.
  perform from app_public.users u where u.id = new.user_id for key share;
  if app_private.is_disabled(new.user_id) then
    raise exception using
      errcode = 'HWFBD',
      message = 'This account is disabled.',
      hint = 'Write to those who run this service.';
  end if;
  return new;
end;
$$;
comment on function app_private.tg_sessions__refuse_disabled() is
  'Trigger: no session begins on a disabled account, whichever way it is asked for. HWFBD (FORBIDDEN).';
drop trigger if exists _200_refuse_disabled on app_public.sessions;
create trigger _200_refuse_disabled
  before insert on app_public.sessions
  for each row execute function app_private.tg_sessions__refuse_disabled();

-- With a password the answer is that of a wrong one: it tells a stranger nothing.
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
comment on function app_private.log_in(int, text, text, text, jsonb, bytea, boolean, text, text) is
  'Opens a session for who gave the right password (compared in Node) and stores the rehash, if one is due. Null where the password has changed meanwhile, and where the account is disabled.';

create or replace function app_private.disable_user(user_id int, reason text default null)
returns boolean
language plpgsql volatile
as $$
declare
  v_is_new boolean;
begin
  -- Who opens a session at this moment is waited for.
  perform from app_public.users u
  where u.id = disable_user.user_id and u.deleted_at is null for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such user.';
  end if;
  insert into app_private.disabled_users (user_id, reason)
  values (disable_user.user_id, disable_user.reason)
  on conflict on constraint disabled_users_pkey do nothing;
  v_is_new := found;
  perform app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = disable_user.user_id and s.revoked_at is null
    ),
    'user_disabled'
  );
  -- Those that no session registered.
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'logged_out'
  where d.user_id = disable_user.user_id and d.disabled_at is null;
  if v_is_new then
    perform app_private.log_security_event('account_disabled', disable_user.user_id, null, null);
  end if;
  return v_is_new;
end;
$$;
comment on function app_private.disable_user(int, text) is
  'Shuts an account: its sessions and sockets end at once, its devices get nothing more, nobody logs in to it. What is in its inbox stays, and grows. False where it was shut already; HWNFD where there is no such user.';

create or replace function app_private.enable_user(user_id int) returns boolean
language plpgsql volatile
as $$
begin
  delete from app_private.disabled_users d where d.user_id = enable_user.user_id;
  if not found then
    return false;
  end if;
  perform app_private.log_security_event('account_enabled', enable_user.user_id, null, null);
  return true;
end;
$$;
comment on function app_private.enable_user(int) is
  'Opens an account again: its user logs in as before, and their devices come back as they register. False where it was not shut.';
