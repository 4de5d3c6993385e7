--! Previous: sha1:8af53f98716d91bbb1706bfbdfbec2a9cb96ff96
--! Hash: sha1:3f0ba21579291b43e6c57315e428aa90b21b6947
--! Message: sending

-- A worker's way through a batch: claim, send (in Node), record. One statement each, so that a crash between
-- two leaves a state that another worker can go on from.

drop function app_private.claim_deliveries(int, int, interval);
drop function app_private.record_deliveries(jsonb);
drop function app_private.finish_deliveries(int);
drop function app_private.schedule_deliveries(int, timestamptz);

create or replace function app_private.postpone_batch(batch_id bigint, run_at timestamptz) returns void
language sql volatile
as $$
  with postponed_batch as (
    update app_private.delivery_batches b
    set run_at = postpone_batch.run_at, worker_id = null
    where b.id = batch_id
    returning b.*
  )
  select app_private.add_batch_job(b) from postponed_batch b;
$$;
comment on function app_private.postpone_batch(bigint, timestamptz) is
  'Gives a batch back, to be claimed later.';

create or replace function app_private.claim_batch(
  batch_id bigint, worker_id uuid, out fence int, out notification jsonb, out deliveries jsonb
)
language plpgsql volatile
-- A generic plan knows neither the partition nor how few rows a batch has: it reads the whole ledger.
set plan_cache_mode = force_custom_plan
as $$
declare
  v_batch app_private.delivery_batches;
  v_notification app_public.notifications;
  v_paused_until timestamptz;
  v_claimed bigint[];
  v_postponed jsonb;
begin
  select * into v_batch
  from app_private.delivery_batches b where b.id = claim_batch.batch_id for update skip locked;
  if not found then
    return;
  end if;
  if v_batch.worker_id <> claim_batch.worker_id and exists (
    select from app_private.workers w where w.id = v_batch.worker_id and app_private.is_alive(w)
  ) then
    return;
  end if;
  select * into v_notification
  from app_public.notifications n where n.id = v_batch.notification_id;

  if v_notification.status = 'canceled' then
    -- Its worker had it when it was canceled, and died: nobody hands it to FCM any more.
    update app_public.notification_deliveries d
    set status = 'canceled', next_attempt_at = null
    where d.id = any (v_batch.delivery_ids)
      and d.month = v_batch.month
      and d.status in ('queued', 'retrying', 'sending');
    delete from app_private.delivery_batches b where b.id = v_batch.id;
    perform app_private.settle_notification(v_batch.notification_id);
    return;
  end if;
  if v_batch.circuit_breaker_id is not null and v_notification.expires_at > now() then
    return;
  end if;
  -- Who lifts one waits until this has read them, and then finds the batch that it has postponed.
  perform from app_public.push_pauses p where p.ended_at is null order by p.id for share;
  v_paused_until := app_private.paused_until(v_batch.device_type);
  if v_notification.expires_at > now() and v_paused_until is not null then
    -- Not after it expires: that has to be written down, too.
    perform app_private.postpone_batch(
      v_batch.id, least(v_paused_until, v_notification.expires_at)
    );
    return;
  end if;

  if v_notification.delivery = 'at_most_once' then
    -- Whoever had it did not come to an end: nobody knows which of these FCM got.
    update app_public.notification_deliveries d
    set status = 'unknown', error_code = 'WORKER_LOST'
    where d.id = any (v_batch.delivery_ids) and d.month = v_batch.month and d.status = 'sending';
  end if;

  with
    candidate as (
      select
        d.id,
        t.token,
        t.kind,
        case when v_notification.has_badge then (
          select count(*) from app_public.notification_recipients r
          where r.user_id = d.user_id and r.read_at is null
        ) end as badge,
        case
          when t.id is null then 'DEVICE_GONE'
          when not p.is_push_enabled and e.is_mandatory is not true then 'PREFERENCE'
          when v_notification.unread_seconds is not null and exists (
            select from app_public.notification_recipients r
            where r.notification_id = d.notification_id
              and r.user_id = d.user_id
              and r.read_at is not null
          ) then 'READ'
        end as skip_reason,
        case when t.paused_until > now() then t.paused_until end as device_paused_until,
        case
          when q.user_id is not null and e.is_mandatory is not true
            then app_private.quiet_until(q, u.timezone, now())
        end as quiet_until
      from app_public.notification_deliveries d
      -- The phone may have changed hands, or logged out, since the fan-out.
      left join app_public.device_tokens t
        on t.id = d.device_token_id and t.user_id = d.user_id and t.disabled_at is null
      left join app_public.notification_events e on e.event = v_notification.event
      left join app_public.notification_preferences p
        on p.user_id = d.user_id and p.event = v_notification.event
      left join app_public.quiet_hours q on q.user_id = d.user_id
      left join app_public.users u on u.id = q.user_id
      where d.id = any (v_batch.delivery_ids)
        and d.month = v_batch.month
        and d.status in ('queued', 'retrying', 'sending')
    ),
    judged as (
      select
        c.*,
        greatest(c.device_paused_until, c.quiet_until) as postponed_until,
        case
          when v_notification.expires_at <= now() then 'expired'
          when c.skip_reason is not null then 'skipped'
          when c.device_paused_until is not null or c.quiet_until is not null then 'queued'
          else 'sending'
        end::app_public.delivery_status as status
      from candidate c
    ),
    updated_delivery as (
      update app_public.notification_deliveries d
      set
        status = j.status,
        attempts = d.attempts + (j.status = 'sending')::int,
        error_code = case
          when j.status = 'skipped' then j.skip_reason
          when j.status = 'queued' and j.quiet_until is not null then 'QUIET_HOURS'
          else d.error_code
        end,
        next_attempt_at = case when j.status = 'queued' then j.postponed_until end
      from judged j
      where d.id = j.id and d.month = v_batch.month
      returning d.id, d.status, d.attempts, j.token, j.kind, j.badge, j.postponed_until
    )
  select
    jsonb_agg(
      jsonb_build_object(
        'id', u.id, 'attempts', u.attempts, 'token', u.token, 'kind', u.kind, 'badge', u.badge
      )
    ) filter (where u.status = 'sending'),
    array_agg(u.id) filter (where u.status = 'sending'),
    jsonb_agg(jsonb_build_object('id', u.id, 'until', u.postponed_until))
      filter (where u.status = 'queued')
  into deliveries, v_claimed, v_postponed
  from updated_delivery u;

  perform app_private.add_batches(
    v_batch.notification_id,
    v_batch.month,
    array_agg(p.id),
    array_agg(v_batch.device_type),
    least(p.until, v_notification.expires_at)
  )
  from jsonb_to_recordset(v_postponed) as p(id bigint, until timestamptz)
  group by p.until;
  if v_claimed is null then
    delete from app_private.delivery_batches b where b.id = v_batch.id;
    perform app_private.settle_notification(v_batch.notification_id);
    return;
  end if;
  update app_private.delivery_batches b
  set
    worker_id = claim_batch.worker_id,
    claimed_at = now(),
    fence = b.fence + 1,
    delivery_ids = v_claimed,
    circuit_breaker_id = null
  where b.id = v_batch.id
  returning b.fence into fence;
  -- Before it becomes JSON: a list may have 100,000 entries.
  v_notification.users := null;
  notification := to_jsonb(v_notification) - 'users';
end;
$$;
comment on function app_private.claim_batch(bigint, uuid) is
  'Leases a batch to a worker and gives what to send, to whom; nulls where there is nothing to do (sent, held, paused, another''s). What has expired, lost its device or is not wanted becomes final; what falls into quiet hours waits in a batch of its own. record_batch wants the fence back.';

create type app_private.delivery_outcome_v2 as (
  id bigint,
  status app_public.delivery_status,
  message_id text,
  error_code text,
  retry_after double precision,
  pause text
);
drop type app_private.delivery_outcome;
alter type app_private.delivery_outcome_v2 rename to delivery_outcome;
comment on type app_private.delivery_outcome is
  'What became of one claimed delivery; queued: it was not handed to FCM at all. retry_after: seconds, with retrying or unknown. pause: project, platform or device, where FCM wants less from all of it; outage: of the project, where it happens to ten and nothing is accepted.';

create or replace function app_private.record_batch(
  batch_id bigint, worker_id uuid, fence int, outcomes jsonb, out recorded int, out alert text
)
language plpgsql volatile
-- A generic plan knows neither the partition nor how few rows a batch has: it reads the whole ledger.
set plan_cache_mode = force_custom_plan
as $$
declare
  v_batch app_private.delivery_batches;
  v_notification app_public.notifications;
  v_breaker_id int;
  v_ids bigint[];
  v_left_ids bigint[];
  v_dead_ids bigint[];
  v_accepted int;
  v_answered int;
  v_users int;
  v_retry record;
  v_batch_id bigint;
begin
  select * into v_batch
  from app_private.delivery_batches b
  where b.id = record_batch.batch_id
    and b.worker_id = record_batch.worker_id
    and b.fence = record_batch.fence
  for update;
  if not found then
    -- Another worker has it: its word counts.
    recorded := 0;
    alert := 'lost';
    return;
  end if;
  select * into v_notification
  from app_public.notifications n where n.id = v_batch.notification_id;

  select
    array_agg(o.id),
    array_agg(o.id) filter (where o.status = 'dead_address'),
    count(*) filter (where o.status = 'accepted'),
    -- Of those that were written in parts, too.
    v_batch.answered + count(*) filter (where o.status <> 'queued')
  into v_ids, v_dead_ids, v_accepted, v_answered
  from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
  -- An answer to this that was lost on its way makes the worker say all again.
  where o.id = any (v_batch.delivery_ids);
  v_left_ids := array(
    select unnest(v_batch.delivery_ids) except select unnest(v_ids) order by 1
  );
  if cardinality(v_dead_ids) > greatest(10, 0.2 * v_answered) then
    v_breaker_id := app_private.trip_circuit_breaker(v_batch.device_type, cardinality(v_dead_ids));
    alert := 'circuit_breaker';
  end if;
  select count(distinct d.user_id) into v_users
  from app_public.notification_deliveries d
  where d.id = any (v_ids) and d.month = v_batch.month;
  if v_accepted > 0 then
    perform app_private.end_pauses(v_batch.device_type);
  end if;

  -- Pauses first: what is tried again waits for them.
  for v_retry in
    select o.pause, o.error_code, max(o.retry_after) as retry_after, count(*) as deliveries
    from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
    where o.id = any (v_ids) and o.pause in ('project', 'platform', 'outage')
    group by o.pause, o.error_code
  loop
    -- Only a quota is hit in the middle of a batch; else one that was accepted shows that all is well.
    continue when v_accepted > 0
      and v_retry.error_code not in ('QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED');
    -- One user's devices may be another project's, by mistake or on purpose: they alone wait (below).
    continue when v_retry.error_code = 'SENDER_ID_MISMATCH' and v_users < 2;
    -- One 503 is bad luck, many are an outage.
    continue when v_retry.pause = 'outage' and v_retry.deliveries < 10;
    perform app_private.pause_pushes(
      case when v_retry.pause = 'platform' then v_batch.device_type end,
      v_retry.error_code,
      v_retry.retry_after,
      case when v_retry.pause = 'outage' then 5 else 60 end
    );
    alert := v_retry.error_code;
  end loop;

  with
    outcome as (
      select
        o.id,
        o.message_id,
        o.error_code,
        least(o.retry_after, 86400) as retry_after,
        o.pause,
        case
          when o.status = 'dead_address' and v_breaker_id is not null then 'retrying'
          when o.status = 'unknown' and v_notification.delivery = 'at_least_once' then 'retrying'
          else o.status::text
        end as status
      from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
      where o.id = any (v_ids)
    ),
    recorded_delivery as (
      update app_public.notification_deliveries d
      set
        status = case
          when o.status in ('retrying', 'queued') and v_notification.status = 'canceled' then 'canceled'
          else o.status
        end::app_public.delivery_status,
        attempts = d.attempts - (o.status = 'queued')::int,
        message_id = coalesce(o.message_id, d.message_id),
        error_code = case when o.status = 'queued' then d.error_code else o.error_code end,
        sent_at = case when o.status = 'accepted' then now() else d.sent_at end,
        next_attempt_at = case
          when o.id = any (v_dead_ids) and v_breaker_id is not null then 'infinity'
          when o.status = 'retrying' then now() + make_interval(secs => o.retry_after)
        end
      from outcome o
      where d.id = o.id and d.month = v_batch.month and d.status = 'sending'
      returning d.id, d.device_token_id, d.user_id, d.status, d.error_code, o.pause, o.retry_after
    ),
    disabled_device as (
      update app_public.device_tokens t
      set disabled_at = now(), disabled_reason = 'dead_address'
      from recorded_delivery r
      where r.status = 'dead_address'
        and t.id = r.device_token_id
        and t.user_id = r.user_id
        and t.disabled_at is null
    ),
    paused_device as (
      update app_public.device_tokens t
      set paused_until = now() + make_interval(secs => r.retry_after)
      from recorded_delivery r
      where t.id = r.device_token_id
        and (
          r.pause = 'device'
          or (r.pause = 'project' and r.error_code = 'SENDER_ID_MISMATCH' and (v_users < 2 or v_accepted > 0))
        )
    )
  select count(*)::int into recorded from recorded_delivery;

  -- What goes on, in batches of its own: together what waits for the same.
  for v_retry in
    select
      d.error_code,
      d.next_attempt_at = 'infinity' as is_held,
      array_agg(d.id) as ids,
      max(d.next_attempt_at) as run_at
    from app_public.notification_deliveries d
    where d.id = any (v_ids)
      and d.month = v_batch.month
      and d.status in ('retrying', 'queued', 'sending')
    group by d.status, d.error_code, d.next_attempt_at = 'infinity'
  loop
    if v_retry.is_held then
      insert into app_private.delivery_batches (
        notification_id, month, device_type, delivery_ids, run_at, circuit_breaker_id
      )
      values (
        v_batch.notification_id,
        v_batch.month,
        v_batch.device_type,
        v_retry.ids,
        v_notification.expires_at,
        v_breaker_id
      )
      returning id into v_batch_id;
    else
      perform app_private.add_batches(
        v_batch.notification_id,
        v_batch.month,
        v_retry.ids,
        array_fill(v_batch.device_type, array[cardinality(v_retry.ids)]),
        -- Not after it expires: that has to be written down, too.
        least(coalesce(v_retry.run_at, now()), v_notification.expires_at)
      );
    end if;
  end loop;
  if cardinality(v_left_ids) > 0 then
    update app_private.delivery_batches b
    set delivery_ids = v_left_ids, answered = v_answered
    where b.id = v_batch.id;
  else
    delete from app_private.delivery_batches b where b.id = v_batch.id;
    perform app_private.settle_notification(v_batch.notification_id);
  end if;
end;
$$;
comment on function app_private.record_batch(bigint, uuid, int, jsonb) is
  'Writes outcomes of a claimed batch (array of delivery_outcome): of all of it, which ends it, or of those that are known. Marks dead devices, pauses what FCM wants paused and queues what is tried again. recorded: how many it took; alert: lost (another worker has the batch), circuit_breaker or FCM''s error code, for the log.';
