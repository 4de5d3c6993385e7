--! Previous: sha1:b4dae587f7a105d930743298480b5d75855d65f3
--! Hash: sha1:3616a3b13d771ec1688e860cf9257e7570fe4773
--! Message: devices that move

-- A phone that changes hands takes along what is under way to both; and nobody has phones without end.

create or replace function app_private.device_limit() returns int
language sql immutable parallel safe
as $$
  select 100;
$$;
comment on function app_private.device_limit() is
  'How many live devices a user may have; replace this function in a migration of yours to change it.';

create or replace function app_private.tg_device_tokens__limit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- Those that have been silent for longest are the likeliest to be gone; a new one is never refused.
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'stale'
  where d.id in (
    select o.id from app_public.device_tokens o
    where o.user_id = new.user_id and o.disabled_at is null and o.id <> new.id
    order by o.last_seen_at desc, o.id desc
    offset app_private.device_limit() - 1
  );
  return null;
end;
$$;
comment on function app_private.tg_device_tokens__limit() is
  'Trigger: who registers more than device_limit() devices loses the one that has been silent for longest.';
create trigger _500_limit_on_insert
  after insert on app_public.device_tokens
  -- By the app; what an import or a test brings in is theirs.
  for each row when (new.session_id is not null)
  execute function app_private.tg_device_tokens__limit();
create trigger _500_limit_on_return
  after update of user_id, disabled_at on app_public.device_tokens
  for each row when (
    new.disabled_at is null
    and (old.user_id is distinct from new.user_id or old.disabled_at is not null)
  )
  execute function app_private.tg_device_tokens__limit();

create or replace function app_private.tg_device_tokens__move_deliveries() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  update app_public.notification_deliveries d
  set user_id = new.user_id
  from app_public.notifications n
  where n.status = 'sending'
    and d.notification_id = n.id
    and d.month = n.ledger_month
    and d.device_token_id = new.id
    and d.status in ('queued', 'retrying')
    and exists (
      select from app_public.notification_recipients r
      where r.notification_id = n.id and r.user_id = new.user_id
    );
  return null;
end;
$$;
comment on function app_private.tg_device_tokens__move_deliveries() is
  'Trigger: what was on its way to a phone''s former owner, and is for the new one as well, goes on to it.';
create trigger _510_move_deliveries
  after update of user_id on app_public.device_tokens
  for each row when (old.user_id is distinct from new.user_id)
  execute function app_private.tg_device_tokens__move_deliveries();
