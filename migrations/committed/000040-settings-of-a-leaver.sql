--! Previous: sha1:6fcb2a972d16556c9358db225a6383908c088597
--! Hash: sha1:f366b136f8f7c753a61d5bbcfae7f69c8b75f74c
--! Message: settings of a leaver

-- Preferences and quiet hours go with the account, and come along in the export.

create or replace function app_private.tg_users__forget_push_settings() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from app_public.notification_preferences p where p.user_id = new.id;
  delete from app_public.quiet_hours q where q.user_id = new.id;
  delete from app_private.notification_audience a where a.user_id = new.id;
  return null;
end;
$$;
comment on function app_private.tg_users__forget_push_settings() is
  'Trigger: a closed account has no preferences, and waits for nothing.';
create trigger _500_forget_push_settings
  after update of deleted_at on app_public.users
  for each row when (old.deleted_at is null and new.deleted_at is not null)
  execute function app_private.tg_users__forget_push_settings();

create or replace function app_public.export_my_data() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
begin
  perform app_private.log_security_event(
    'data_exported', v_user_id, app_public.current_session_id(), app_private.request_client()
  );
  return app_private.export_user(v_user_id) || jsonb_build_object(
    'notification_preferences', (
      select coalesce(jsonb_agg(to_jsonb(p) order by p.event), '[]')
      from app_public.notification_preferences p where p.user_id = v_user_id
    ),
    'quiet_hours', (
      select to_jsonb(q) from app_public.quiet_hours q where q.user_id = v_user_id
    )
  );
end;
$$;
