--! Previous: sha1:6f756b980dc3aed58cc031e49100470e18cc2973
--! Hash: sha1:ec4e02695f47b62b5578177f89658755d92b27a5
--! Message: ending sessions

-- Ending one session, the others, or all; and telling the API processes, which close their sockets.

create or replace function app_public.revoke_session(id int) returns app_public.sessions
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_session app_public.sessions;
begin
  update app_public.sessions s
  set revoked_at = now(), revoked_reason = 'user_revoked'
  where s.id = revoke_session.id
    and s.user_id = app_public.current_user_id()
    and s.revoked_at is null
    and s.expires_at > now()
  returning s.* into v_session;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such session.';
  end if;
  perform app_private.log_security_event(
    'session_revoked', v_session.user_id, v_session.id, app_private.request_client()
  );
  return v_session;
end;
$$;
comment on function app_public.revoke_session(int) is
  'Ends one session of the user who asks, wherever it is used.';

create or replace function app_public.log_out_everywhere(keep_current boolean default false) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = app_public.current_user_id()
        and not (coalesce(keep_current, false) and s.id = app_public.current_session_id())
    ),
    'log_out_everywhere'
  );
  perform app_private.log_security_event(
    'logged_out',
    app_public.current_user_id(),
    app_public.current_session_id(),
    app_private.request_client()
  );
end;
$$;
comment on function app_public.log_out_everywhere(boolean) is
  'Ends all sessions of the user who asks; with keepCurrent all others.';

grant execute on function app_public.revoke_session(int), app_public.log_out_everywhere(boolean)
to :DATABASE_USER;

create or replace function app_private.tg_sessions__publish_end() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_hidden.publish('session_ended', array[new.id], '{}');
  return null;
end;
$$;
comment on function app_private.tg_sessions__publish_end() is
  'Trigger: open WebSockets of a session are closed when it ends.';
create trigger _600_publish_end
  after update of revoked_at on app_public.sessions
  for each row when (old.revoked_at is null and new.revoked_at is not null)
  execute function app_private.tg_sessions__publish_end();
