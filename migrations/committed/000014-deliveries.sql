--! Previous: sha1:9d2b454a953e09c74bc32f8dcea308438f4d24c7
--! Hash: sha1:1e2e73747c842ecf986cc12e5d1ad5ddd863de21
--! Message: deliveries

-- The worker's half: fan out, claim, record, settle. One statement a step, so that a crash loses none.

-- plpgsql, like everything that speaks to the queue: its schema need not be there when this is created.
create or replace function app_private.schedule_deliveries(notification_id int, run_at timestamptz)
returns void
language plpgsql volatile
as $$
begin
  -- One job that waits for a notification, however many retries it has: the earliest time wins.
  perform graphile_worker.add_job(
    'deliver_pushes',
    json_build_object('notificationId', schedule_deliveries.notification_id),
    run_at := least(
      schedule_deliveries.run_at,
      (
        select min(d.next_attempt_at) from app_public.notification_deliveries d
        where d.notification_id = schedule_deliveries.notification_id
          and d.status in ('queued', 'retrying')
      )
    ),
    job_key := 'deliver_pushes:' || schedule_deliveries.notification_id
  );
end;
$$;
comment on function app_private.schedule_deliveries(int, timestamptz) is
  'Sees to it that a worker looks at the due deliveries of a notification at run_at (null: when the first of them is due).';

create or replace function app_private.fan_out_notification(notification_id int, chunk_size int)
returns boolean
language plpgsql volatile
as $$
declare
  v_notification app_public.notifications;
  v_chunk int[];
begin
  select * into v_notification
  from app_public.notifications n where n.id = fan_out_notification.notification_id for update;
  if not found or v_notification.status not in ('scheduled', 'sending') then
    return false;
  end if;
  if v_notification.expires_at <= now() then
    update app_public.notifications n set status = 'expired' where n.id = v_notification.id;
    return false;
  end if;

  v_chunk := v_notification.users[
    v_notification.fanned_out_users + 1 : v_notification.fanned_out_users + chunk_size
  ];
  insert into app_public.notification_recipients (notification_id, user_id)
  select v_notification.id, u.id
  from app_public.users u where u.id = any (v_chunk) and u.deleted_at is null
  on conflict do nothing;

  insert into app_public.notification_deliveries
    (notification_id, user_id, device_token_id, device_type)
  select v_notification.id, d.user_id, d.id, d.device_type
  from app_public.device_tokens d
  join app_public.users u on u.id = d.user_id and u.deleted_at is null
  where d.user_id = any (v_chunk) and d.disabled_at is null
  on conflict do nothing;
  if found then
    perform app_private.schedule_deliveries(v_notification.id, now());
  end if;

  update app_public.notifications n
  set
    status = 'sending',
    fanned_out_users = least(n.fanned_out_users + chunk_size, cardinality(n.users))
  where n.id = v_notification.id
  returning * into v_notification;

  if v_notification.fanned_out_users < cardinality(v_notification.users) then
    return true;
  end if;
  perform app_private.settle_notification(v_notification.id);
  return false;
end;
$$;
comment on function app_private.fan_out_notification(int, int) is
  'Writes recipients and deliveries of the next chunk_size users; true while there are more. Safe to run again.';

create or replace function app_private.claim_deliveries(
  notification_id int, batch_size int, lease interval
) returns table (
  id bigint,
  attempts int,
  token text,
  kind app_public.device_token_kind
)
language sql volatile
as $$
  with
    due_delivery as (
      select
        d.id,
        n.expires_at <= now() as is_expired,
        t.id is null as is_undeliverable,
        t.token,
        t.kind
      from app_public.notification_deliveries d
      join app_public.notifications n on n.id = d.notification_id
      -- The phone may have changed hands, or logged out, since the fan-out.
      left join app_public.device_tokens t
        on t.id = d.device_token_id and t.user_id = d.user_id and t.disabled_at is null
      where d.notification_id = claim_deliveries.notification_id
        and d.status in ('queued', 'retrying')
        and d.next_attempt_at <= now()
      order by d.next_attempt_at
      limit batch_size
      for update of d skip locked
    ),
    claimed_delivery as (
      update app_public.notification_deliveries d
      set
        status = case
          when due.is_expired then 'expired'
          when due.is_undeliverable then 'skipped'
          else 'sending'
        end::app_public.delivery_status,
        attempts = d.attempts + case when due.is_expired or due.is_undeliverable then 0 else 1 end,
        leased_until = case
          when due.is_expired or due.is_undeliverable then null
          else now() + lease
        end
      from due_delivery due
      where d.id = due.id
      returning d.id, d.attempts, d.status, due.token, due.kind
    )
  select c.id, c.attempts, c.token, c.kind from claimed_delivery c where c.status = 'sending';
$$;
comment on function app_private.claim_deliveries(int, int, interval) is
  'Leases a batch of due deliveries; what has expired or lost its device becomes final instead. attempts is the fencing number that record_deliveries wants back.';

create type app_private.delivery_outcome as (
  id bigint,
  attempts int,
  status app_public.delivery_status,
  message_id text,
  error_code text,
  retry_after double precision
);
comment on type app_private.delivery_outcome is
  'What became of one claimed delivery. retry_after: seconds, with status retrying or unknown.';

create or replace function app_private.record_deliveries(outcomes jsonb) returns int
language sql volatile
as $$
  with
    outcome as (
      select
        o.id,
        o.attempts,
        o.message_id,
        o.error_code,
        o.retry_after,
        case
          when o.status = 'unknown' and n.delivery = 'at_least_once' then 'retrying'
          else o.status
        end::app_public.delivery_status as status
      from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
      join app_public.notification_deliveries d on d.id = o.id
      join app_public.notifications n on n.id = d.notification_id
    ),
    recorded_delivery as (
      update app_public.notification_deliveries d
      set
        status = o.status,
        message_id = coalesce(o.message_id, d.message_id),
        error_code = o.error_code,
        sent_at = case when o.status = 'accepted' then now() else d.sent_at end,
        next_attempt_at = case
          when o.status = 'retrying' then now() + make_interval(secs => o.retry_after)
          else d.next_attempt_at
        end,
        leased_until = null
      from outcome o
      -- Whose lease ran out and was given to another has no say any more.
      where d.id = o.id and d.status = 'sending' and d.attempts = o.attempts
      returning d.device_token_id, d.user_id, d.status
    ),
    disabled_device as (
      update app_public.device_tokens t
      set disabled_at = now(), disabled_reason = 'dead_address'
      from recorded_delivery r
      where r.status = 'dead_address'
        and t.id = r.device_token_id
        and t.user_id = r.user_id
        and t.disabled_at is null
    )
  select count(*)::int from recorded_delivery;
$$;
comment on function app_private.record_deliveries(jsonb) is
  'Writes the outcomes of a batch (array of delivery_outcome) at once and marks dead devices; returns how many it took, fewer than given where a lease had run out.';

create or replace function app_private.settle_notification(notification_id int) returns void
language plpgsql volatile
as $$
declare
  v_total int;
  v_pending int;
  v_accepted int;
  v_expired int;
begin
  perform from app_public.notifications n
  where n.id = settle_notification.notification_id
    and n.status in ('sending', 'canceled')
    and n.fanned_out_users >= cardinality(n.users)
  for update;
  if not found then
    return;
  end if;
  select
    count(*),
    count(*) filter (where d.status in ('queued', 'sending', 'retrying')),
    count(*) filter (where d.status in ('accepted', 'acknowledged')),
    count(*) filter (where d.status = 'expired')
  into v_total, v_pending, v_accepted, v_expired
  from app_public.notification_deliveries d
  where d.notification_id = settle_notification.notification_id;
  if v_pending > 0 then
    return;
  end if;
  update app_public.notifications n
  set
    status = case
      when n.status = 'canceled' then 'canceled'
      when v_total = 0 then 'no_devices'
      when v_accepted = v_total then 'sent'
      when v_accepted > 0 then 'partial'
      when v_expired > 0 then 'expired'
      else 'failed'
    end::app_public.notification_status,
    sent_status = v_accepted > 0
  where n.id = settle_notification.notification_id;
end;
$$;
comment on function app_private.settle_notification(int) is
  'Derives the status of a notification from its ledger once every delivery is final.';

create or replace function app_private.finish_deliveries(notification_id int) returns void
language plpgsql volatile
as $$
begin
  if exists (
    select from app_public.notification_deliveries d
    where d.notification_id = finish_deliveries.notification_id
      and d.status in ('queued', 'retrying')
  ) then
    perform app_private.schedule_deliveries(finish_deliveries.notification_id, null);
  else
    perform app_private.settle_notification(finish_deliveries.notification_id);
  end if;
end;
$$;
comment on function app_private.finish_deliveries(int) is
  'After a worker found nothing more to claim: comes back for the retries, or derives the status.';
