--! Previous: sha1:ec4e02695f47b62b5578177f89658755d92b27a5
--! Hash: sha1:088d743fdb2b793d3d49384a6d545e4199df5cd3
--! Message: leaving

-- Taking one's data along, and closing the account.

create or replace function app_private.export_user(user_id int) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'user', to_jsonb(u),
    'items', (
      select coalesce(jsonb_agg(to_jsonb(i) order by i.id), '[]')
      from app_public.items i where i.user_id = u.id
    ),
    'sessions', (
      select coalesce(jsonb_agg(to_jsonb(s) order by s.id), '[]')
      from app_public.sessions s where s.user_id = u.id
    ),
    'device_tokens', (
      select coalesce(jsonb_agg(to_jsonb(d) - 'token' order by d.id), '[]')
      from app_public.device_tokens d where d.user_id = u.id
    ),
    'oauth2_credentials', (
      select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
      from app_public.oauth2_credentials c where c.user_id = u.id
    ),
    'notifications', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object(
            'id', n.id, 'event', n.event, 'title', n.title, 'message', n.message, 'data', n.data,
            'created_at', n.created_at, 'read_at', r.read_at
          ) order by n.id
        ),
        '[]'
      )
      from app_public.notification_recipients r
      join app_public.notifications n on n.id = r.notification_id
      where r.user_id = u.id
    ),
    'security_events', (
      select coalesce(jsonb_agg(to_jsonb(e) order by e.id), '[]')
      from app_private.security_events e where e.user_id = u.id
    )
  )
  from app_public.users u where u.id = export_user.user_id;
$$;
comment on function app_private.export_user(int) is
  'Everything that is kept about a user, without secrets: device tokens are addresses, hashes are not theirs to know.';

create or replace function app_public.export_my_data() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.log_security_event(
    'data_exported',
    app_public.current_user_id(),
    app_public.current_session_id(),
    app_private.request_client()
  );
  return app_private.export_user(app_public.current_user_id());
end;
$$;
comment on function app_public.export_my_data() is
  E'@resultFieldName data\nEverything that is kept about the user who asks, as JSON.';
grant execute on function app_public.export_my_data() to :DATABASE_USER;

create or replace function app_private.delete_account(
  user_id int, session_id int, verified_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- The password, or a log-in of the last ten minutes.
  if verified_password_hash is null then
    perform from app_public.sessions s
    where s.id = delete_account.session_id
      and s.user_id = delete_account.user_id
      and s.created_at > now() - interval '10 minutes';
  else
    perform from app_private.user_secrets s
    where s.user_id = delete_account.user_id and s.password_hash = verified_password_hash;
  end if;
  if not found then
    return false;
  end if;
  perform app_private.log_security_event('account_deleted', user_id, session_id, client);
  -- Sessions, devices, password, proofs and rights go by the triggers of deleted_at.
  update app_public.users u
  set
    deleted_at = now(),
    first_name = 'Deleted',
    last_name = null,
    email = null,
    email_verified = false,
    phone = null,
    phone_verified = false,
    picture = null
  where u.id = delete_account.user_id and u.deleted_at is null;
  delete from app_public.items i where i.user_id = delete_account.user_id;
  delete from app_public.oauth2_credentials c where c.user_id = delete_account.user_id;
  delete from app_public.notification_recipients r where r.user_id = delete_account.user_id;
  update app_public.notification_deliveries d
  set status = 'canceled'
  where d.user_id = delete_account.user_id and d.status in ('queued', 'retrying');
  return true;
end;
$$;
comment on function app_private.delete_account(int, int, text, jsonb) is
  'Closes an account in one transaction: sessions, devices, identities, items, inbox and pending deliveries go, the address is free. False where neither the password nor a fresh log-in vouches for it.';
grant execute on function app_private.delete_account(int, int, text, jsonb) to :DATABASE_AUTHENTICATOR;
