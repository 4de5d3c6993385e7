--! Previous: sha1:dcfbfb001107ccc66c0fbeaa0461737835977597
--! Hash: sha1:72435cdf3f3646a79a3c9f2206d6a1dcf2c4f3db
--! Message: operators and accounts

-- What `npm run howdah -- user:disable`, `user:enable` and `session:revoke` do, through the API as well: for operators.

create or replace function app_public.users_disabled_at(u app_public.users) returns timestamptz
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select d.disabled_at
  from app_private.disabled_users d
  where d.user_id = u.id and app_hidden.request_is_by_operator();
$$;
comment on function app_public.users_disabled_at(app_public.users) is
  'Since when an operator has shut this account; null where none has, and for everybody but operators.';

create or replace function app_public.users_disabled_reason(u app_public.users) returns text
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select d.reason
  from app_private.disabled_users d
  where d.user_id = u.id and app_hidden.request_is_by_operator();
$$;
comment on function app_public.users_disabled_reason(app_public.users) is
  'What the operator who shut this account wrote down; for operators.';

create or replace function app_public.disable_user(id int, reason text default null)
returns app_public.users
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user app_public.users;
begin
  -- One operator, or their stolen session, shall not shut the others out: who owns the database decides that.
  if exists (select from app_private.operators o where o.user_id = disable_user.id) then
    raise exception using
      errcode = 'HWFBD',
      message = 'The account of an operator is not disabled here.',
      hint = 'Take the role away first: npm run howdah -- operator:revoke.';
  end if;
  if length(disable_user.reason) > 500 then
    raise exception using
      errcode = 'HWINP', message = 'A reason has at most 500 characters.', column = 'reason';
  end if;
  perform app_private.disable_user(disable_user.id, nullif(btrim(disable_user.reason), ''));
  select u.* into v_user from app_public.users u where u.id = disable_user.id;
  return v_user;
end;
$$;
comment on function app_public.disable_user(int, text) is
  'Shuts an account: its sessions end at once, nobody logs in to it, its devices get nothing; nothing is deleted. Not an operator''s. For operators.';

create or replace function app_public.enable_user(id int) returns app_public.users
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user app_public.users;
begin
  select u.* into v_user from app_public.users u where u.id = enable_user.id and u.deleted_at is null;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such user.';
  end if;
  perform app_private.enable_user(enable_user.id);
  return v_user;
end;
$$;
comment on function app_public.enable_user(int) is
  'Opens a disabled account again; its user logs in as before, and their devices come back as they register. For operators.';

grant execute on function app_public.disable_user(int, text), app_public.enable_user(int)
to :DATABASE_OPERATOR;
grant execute on function
  app_public.users_disabled_at(app_public.users), app_public.users_disabled_reason(app_public.users)
to :DATABASE_USER;

create or replace function app_public.revoke_session(id int) returns app_public.sessions
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_session app_public.sessions;
begin
  select s.* into v_session
  from app_public.sessions s
  where s.id = revoke_session.id
    and (s.user_id = app_public.current_user_id() or app_hidden.request_is_by_operator())
    and s.revoked_at is null
    and s.expires_at > now()
  for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such session.';
  end if;
  perform app_private.revoke_sessions(
    array[v_session.id],
    case
      when v_session.user_id = app_public.current_user_id() then 'user_revoked'
      else 'operator_revoked'
    end
  );
  perform app_private.log_security_event(
    'session_revoked',
    v_session.user_id,
    v_session.id,
    -- Where an operator sits is none of the user's business.
    case when v_session.user_id = app_public.current_user_id() then app_private.request_client() end
  );
  select s.* into v_session from app_public.sessions s where s.id = v_session.id;
  return v_session;
end;
$$;
comment on function app_public.revoke_session(int) is
  'Ends one session of the user who asks, wherever it is used; for an operator anybody''s.';

comment on table app_private.disabled_users is
  'Accounts that an operator has shut: `npm run howdah -- user:disable`, or app_public.disable_user(). No policy, no grant: definer functions only.';
