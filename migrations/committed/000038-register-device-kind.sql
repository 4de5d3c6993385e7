--! Previous: sha1:d8a5c86bbfac517aa36a974fd0b907cd5cfbe1af
--! Hash: sha1:ae0d12068a9c41c33bc525b093753e625dcaed26
--! Message: register device kind

-- FCM moves from registration tokens to Firebase installation ids: both are taken.

drop function app_public.register_device(text, app_public.device_type);

create or replace function app_public.register_device(
  token text, device_type app_public.device_type, kind app_public.device_token_kind default 'token'
) returns app_public.device_tokens
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into app_public.device_tokens as d (user_id, session_id, token, device_type, kind)
  values (
    app_public.current_user_id(),
    app_public.current_session_id(),
    token,
    device_type,
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
  returning d.*;
$$;
comment on function app_public.register_device(
  text, app_public.device_type, app_public.device_token_kind
) is
  'To be called at each launch of the app: this device gets the pushes of the user who asks, and of nobody else. kind: what the token is, an FCM registration token where left out.';
grant execute on function app_public.register_device(
  text, app_public.device_type, app_public.device_token_kind
) to :DATABASE_USER;
