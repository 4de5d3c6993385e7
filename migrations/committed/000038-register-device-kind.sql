--! Previous: sha1:099658989fa8a83385b261d1b8626077240d6556
--! Hash: sha1:9b09f6c496101267db94f8e0e7b31c2e58ec8e50
--! Message: register device kind

-- FCM moves from registration tokens to Firebase installation ids: both are taken.

drop function app_public.register_device(text, app_public.device_type);

create or replace function app_public.register_device(
  token text, device_type app_public.device_type, kind app_public.device_token_kind default 'token'
) returns app_public.device_tokens
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_device app_public.device_tokens;
begin
  -- A log-out that comes in between would not find the device that it has to disable.
  if app_public.current_session_id() is not null then
    perform from app_public.sessions s
    where s.id = app_public.current_session_id() and s.revoked_at is null for share;
    if not found then
      raise exception using errcode = 'HWREV', message = 'This session has ended.', hint = 'Log in again.';
    end if;
  end if;
  insert into app_public.device_tokens as d (user_id, session_id, token, device_type, kind)
  values (
    app_public.current_user_id(),
    app_public.current_session_id(),
    register_device.token,
    register_device.device_type,
    coalesce(register_device.kind, 'token')
  )
  on conflict on constraint device_tokens_token_unique do update
  set
    user_id = excluded.user_id,
    session_id = excluded.session_id,
    device_type = excluded.device_type,
    kind = excluded.kind,
    last_seen_at = now(),
    disabled_at = null,
    disabled_reason = null
  returning d.* into v_device;
  return v_device;
end;
$$;
comment on function app_public.register_device(
  text, app_public.device_type, app_public.device_token_kind
) is
  'To be called at each launch of the app: this device gets the pushes of the user who asks, and of nobody else. kind: what the token is, an FCM registration token where left out.';
grant execute on function app_public.register_device(
  text, app_public.device_type, app_public.device_token_kind
) to :DATABASE_USER;
