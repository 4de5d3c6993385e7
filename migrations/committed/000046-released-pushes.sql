--! Previous: sha1:3d64a3667d71a3f8e41634dc7cd692be390e2eeb
--! Hash: sha1:a6af3772fe5d8a820569811dc9682165529371bf
--! Message: released pushes

-- Whoever changes their quiet hours, or ends them, does not wait for the end of the old ones: what they hold
-- is judged anew.

create or replace function app_private.tg_quiet_hours__release() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_batch app_private.delivery_batches;
begin
  for v_batch in
    update app_private.delivery_batches b
    set run_at = now()
    from app_public.notification_deliveries d
    where d.user_id = coalesce(new.user_id, old.user_id)
      and d.status = 'queued'
      and d.error_code = 'QUIET_HOURS'
      and b.notification_id = d.notification_id
      and d.id = any (b.delivery_ids)
      and b.worker_id is null
      and b.circuit_breaker_id is null
    returning b.*
  loop
    perform app_private.add_batch_job(v_batch);
  end loop;
  return null;
end;
$$;
comment on function app_private.tg_quiet_hours__release() is
  'Trigger: pushes that wait for the end of quiet hours are judged by the new ones.';
create trigger _500_release
  after insert or update or delete on app_public.quiet_hours
  for each row execute function app_private.tg_quiet_hours__release();
