--! Previous: sha1:fc9b387f6f9f2716ac2bd96f804f10436c0624b6
--! Hash: sha1:8f24d83b14b59c8833bc21d715ecb14d26d2b840
--! Message: honest outcomes

-- What an attack on the pushes has shown: what one account can bring about is no fault of the project, a message is
-- handed over where it is marked as such, and whoever sends hears of a cancellation.

-- When FCM last took something, so that what it refuses can be told from what it refuses to all.
create table if not exists app_private.push_acceptances (
  device_type app_public.device_type not null,
  accepted_at timestamptz not null default now(),
  constraint push_acceptances_pkey primary key (device_type)
) with (fillfactor = 50);
alter table app_private.push_acceptances enable row level security;
comment on table app_private.push_acceptances is
  'When FCM last accepted a push to a platform, to the second. No policy, no grant: the owner only.';

create or replace function app_private.note_acceptance(device_type app_public.device_type) returns void
language plpgsql volatile
as $$
begin
  -- Once a second: those who record at the same time do not wait for each other.
  if exists (
    select from app_private.push_acceptances a
    where a.device_type = note_acceptance.device_type and a.accepted_at > now() - interval '1 second'
  ) then
    return;
  end if;
  insert into app_private.push_acceptances as a (device_type)
  values (note_acceptance.device_type)
  on conflict on constraint push_acceptances_pkey do update
  set accepted_at = greatest(a.accepted_at, excluded.accepted_at);
end;
$$;
comment on function app_private.note_acceptance(app_public.device_type) is
  'FCM has accepted something of this platform.';

create or replace function app_private.is_our_fault(
  delivery_ids bigint[], month date, device_type app_public.device_type
) returns boolean
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $$
declare
  v_accepted_at timestamptz;
  v_users int;
  v_bereft_users int;
begin
  select coalesce(max(a.accepted_at), '-infinity') into v_accepted_at
  from app_private.push_acceptances a
  where is_our_fault.device_type is null or a.device_type = is_our_fault.device_type;
  if v_accepted_at > now() - interval '1 minute' then
    return false;
  end if;
  select
    count(distinct d.user_id),
    count(distinct d.user_id) filter (
      where d.attempts = 1 and (
        select o.status in ('accepted', 'acknowledged')
        from app_public.notification_deliveries o
        where o.user_id = d.user_id
          and o.device_token_id = d.device_token_id
          and o.created_at < d.created_at
        order by o.created_at desc
        limit 1
      )
    )
  into v_users, v_bereft_users
  from app_public.notification_deliveries d
  where d.id = any (is_our_fault.delivery_ids) and d.month = is_our_fault.month;
  return v_users > 1 and (v_accepted_at < now() - interval '1 hour' or v_bereft_users > 1);
end;
$$;
comment on function app_private.is_our_fault(bigint[], date, app_public.device_type) is
  'Whether FCM refuses these deliveries because of the project''s credentials (or of a platform''s) and not of their addresses, which are what clients say: of several users, and nothing has been accepted for an hour, or for a minute and what their devices were sent before was.';

-- claim_batch() as it was, but for marks_all.
create or replace function app_private.claim_batch(
  batch_id bigint,
  worker_id uuid,
  marks_all boolean,
  out fence int,
  out notification jsonb,
  out deliveries jsonb
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
  v_is_marked boolean;
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

  v_is_marked := marks_all or v_notification.delivery <> 'at_most_once';
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
        status = case when j.status = 'sending' and not v_is_marked then d.status else j.status end,
        attempts = d.attempts + (j.status = 'sending' and v_is_marked)::int,
        error_code = case
          when j.status = 'skipped' then j.skip_reason
          when j.status = 'queued' and j.quiet_until is not null then 'QUIET_HOURS'
          else d.error_code
        end,
        next_attempt_at = case when j.status = 'queued' then j.postponed_until end
      from judged j
      where d.id = j.id and d.month = v_batch.month
      returning
        d.id,
        j.status,
        -- This one counted.
        d.attempts + (not v_is_marked)::int as attempts,
        j.token,
        j.kind,
        j.badge,
        j.postponed_until
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
comment on function app_private.claim_batch(bigint, uuid, boolean) is
  'Leases a batch to a worker and gives what to send, to whom; nulls where there is nothing to do (sent, held, paused, another''s). What has expired, lost its device or is not wanted becomes final; what falls into quiet hours waits in a batch of its own. record_batch wants the fence back. marks_all false: what is sent at most once is not sending yet, but by hand_over().';

create or replace function app_private.claim_batch(
  batch_id bigint, worker_id uuid, out fence int, out notification jsonb, out deliveries jsonb
)
language sql volatile
as $$
  select c.fence, c.notification, c.deliveries
  from app_private.claim_batch(claim_batch.batch_id, claim_batch.worker_id, true) c;
$$;
comment on function app_private.claim_batch(bigint, uuid) is
  'As workers of an older version call it, which do not hand over.';

create or replace function app_private.hand_over(
  batch_id bigint, worker_id uuid, fence int, delivery_ids bigint[]
) returns setof bigint
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
  v_batch app_private.delivery_batches;
begin
  select * into v_batch
  from app_private.delivery_batches b
  where b.id = hand_over.batch_id
    and b.worker_id = hand_over.worker_id
    and b.fence = hand_over.fence
  for update;
  if not found or exists (
    select from app_public.notifications n
    where n.id = v_batch.notification_id and (n.status = 'canceled' or n.expires_at <= now())
  ) then
    return;
  end if;
  return query
    update app_public.notification_deliveries d
    set status = 'sending', attempts = d.attempts + 1
    where d.id = any (hand_over.delivery_ids)
      and d.id = any (v_batch.delivery_ids)
      and d.month = v_batch.month
      and d.status in ('queued', 'retrying')
    returning d.id;
end;
$$;
comment on function app_private.hand_over(bigint, uuid, int, bigint[]) is
  'Marks deliveries of a claimed batch just before FCM gets them, for what is sent at most once: if the worker dies, only of these nobody knows what became of them. Returns those that may go.';

-- record_batch() as it was, but for what it pauses, what was never marked, and that it may be told nothing.
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
  v_retry record;
  v_is_alone boolean;
  v_alone_codes text[] = '{}';
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
  if v_ids is null then
    recorded := 0;
    return;
  end if;
  v_left_ids := array(
    select unnest(v_batch.delivery_ids) except select unnest(v_ids) order by 1
  );
  if cardinality(v_dead_ids) > greatest(10, 0.2 * v_answered) then
    v_breaker_id := app_private.trip_circuit_breaker(v_batch.device_type, cardinality(v_dead_ids));
    alert := 'circuit_breaker';
  end if;
  if v_accepted > 0 then
    perform app_private.end_pauses(v_batch.device_type);
    perform app_private.note_acceptance(v_batch.device_type);
  end if;

  -- Pauses first: what is tried again waits for them.
  for v_retry in
    select
      o.pause, o.error_code, max(o.retry_after) as retry_after, count(*) as deliveries, array_agg(o.id) as ids
    from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
    where o.id = any (v_ids) and o.pause in ('project', 'platform', 'outage')
    group by o.pause, o.error_code
  loop
    -- One 503 is bad luck, many are an outage.
    continue when v_retry.pause = 'outage' and v_retry.deliveries < 10;
    v_is_alone := case
      -- Only a quota is hit in the middle of a batch; else one that was accepted shows that all is well.
      when v_retry.error_code in ('QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED', 'HTTP_429') then false
      when v_accepted > 0 then true
      -- What anybody can bring about, by mistake or on purpose.
      when v_retry.error_code in ('SENDER_ID_MISMATCH', 'THIRD_PARTY_AUTH_ERROR') then not app_private.is_our_fault(
        v_retry.ids, v_batch.month, case when v_retry.pause = 'platform' then v_batch.device_type end
      )
      else false
    end;
    if v_is_alone then
      if v_retry.error_code in ('SENDER_ID_MISMATCH', 'THIRD_PARTY_AUTH_ERROR') then
        v_alone_codes := v_alone_codes || v_retry.error_code;
        alert := coalesce(alert, 'devices: ' || v_retry.error_code);
      end if;
      continue;
    end if;
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
        left(o.error_message, 500) as error_message,
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
        attempts = d.attempts - (o.status = 'queued' and d.status = 'sending')::int,
        message_id = coalesce(o.message_id, d.message_id),
        error_code = case when o.status = 'queued' then d.error_code else o.error_code end,
        error_message = case when o.status = 'queued' then d.error_message else o.error_message end,
        sent_at = case when o.status = 'accepted' then now() else d.sent_at end,
        next_attempt_at = case
          when o.id = any (v_dead_ids) and v_breaker_id is not null then 'infinity'
          when o.status = 'retrying' then now() + make_interval(secs => o.retry_after)
        end
      from outcome o
      where d.id = o.id
        and d.month = v_batch.month
        -- Of what is sent at most once, what was not handed over was never marked.
        and (d.status = 'sending' or (o.status = 'queued' and d.status in ('queued', 'retrying')))
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
      set paused_until = now() + make_interval(secs => r.retry_after), pause_error_code = r.error_code
      from recorded_delivery r
      where t.id = r.device_token_id
        and (r.pause = 'device' or (r.pause in ('project', 'platform') and r.error_code = any (v_alone_codes)))
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
  'Writes outcomes of a claimed batch (array of delivery_outcome): of all of it, which ends it, or of those that are known. Marks dead devices, pauses what FCM wants paused and queues what is tried again. recorded: how many it took; alert, for the log: lost (another worker has the batch), circuit_breaker, FCM''s error code where sending is paused, or "devices: " and the code where only the devices concerned wait.';

-- While PostgreSQL was away for all of them, the first one that is back takes none of the others for dead.
alter table app_private.workers
  add column if not exists away_at timestamptz,
  add column if not exists returned_at timestamptz;
comment on column app_private.workers.away_at is 'Its last heartbeat before it missed some and came back.';
comment on column app_private.workers.returned_at is 'When it came back.';

create or replace function app_private.heartbeat(
  worker_id uuid, job_worker_ids text[], batch_ids bigint[]
) returns void
language sql volatile
as $$
  insert into app_private.workers as w (id, job_worker_ids)
  values (heartbeat.worker_id, heartbeat.job_worker_ids)
  on conflict on constraint workers_pkey do update
  set
    heartbeat_at = now(),
    job_worker_ids = excluded.job_worker_ids,
    away_at = case when w.heartbeat_at < now() - interval '10 seconds' then w.heartbeat_at else w.away_at end,
    returned_at = case when w.heartbeat_at < now() - interval '10 seconds' then now() else w.returned_at end;
  update app_private.delivery_batches b
  set worker_id = null
  where b.worker_id = heartbeat.worker_id
    -- The list may be older than the claims of the last moments.
    and b.claimed_at < now() - interval '20 seconds'
    and b.id <> all (batch_ids);
$$;

create or replace function app_private.is_alive(worker app_private.workers) returns boolean
language sql stable
as $$
  select
    -- While PostgreSQL was away nobody could say anything: that time does not count.
    greatest(worker.heartbeat_at, pg_postmaster_start_time()) > now() - interval '20 seconds'
    -- Nor does it where another one was away at the same time, and is back: it was not reached.
    or exists (
      select from app_private.workers w
      where w.returned_at > now() - interval '20 seconds'
        and w.away_at < worker.heartbeat_at + interval '20 seconds'
    );
$$;
comment on function app_private.is_alive(app_private.workers) is
  'False for a worker that has missed four heartbeats, while others did not.';

-- A cancellation is one row; what was to be sent is ended in chunks, of which a job does what is left.
create or replace function app_private.cancel_deliveries(notification_id int, batches int default 10)
returns boolean
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
  v_month date;
  v_users int;
  v_batches int;
  v_ids bigint[];
begin
  -- A fan-out that is under way comes to its end first.
  if not pg_try_advisory_xact_lock(
    hashtextextended('fan out ' || cancel_deliveries.notification_id, 0)
  ) then
    return null;
  end if;
  select n.ledger_month into v_month
  from app_public.notifications n
  where n.id = cancel_deliveries.notification_id and n.status = 'canceled';
  if not found then
    return false;
  end if;
  delete from app_private.notification_audience a
  where a.notification_id = cancel_deliveries.notification_id
    and a.user_id in (
      select o.user_id from app_private.notification_audience o
      where o.notification_id = cancel_deliveries.notification_id limit batches * 1000
    );
  get diagnostics v_users = row_count;
  with canceled_batch as (
    -- What a worker has it ends itself: it hears of it within a second.
    delete from app_private.delivery_batches b
    where b.id in (
      select o.id from app_private.delivery_batches o
      where o.notification_id = cancel_deliveries.notification_id and o.worker_id is null
      order by o.id
      limit batches
      for update skip locked
    )
    returning b.id, b.delivery_ids
  )
  select count(distinct b.id), array_agg(i.id) into v_batches, v_ids
  from canceled_batch b, unnest(b.delivery_ids) as i(id);
  update app_public.notification_deliveries d
  set status = 'canceled', next_attempt_at = null
  where d.id = any (v_ids) and d.month = v_month and d.status in ('queued', 'retrying', 'sending');
  if v_users = batches * 1000 or v_batches = batches then
    return true;
  end if;
  perform app_private.settle_notification(cancel_deliveries.notification_id);
  return false;
end;
$$;
comment on function app_private.cancel_deliveries(int, int) is
  'Ends so many batches of a canceled notification that no worker has; true while there are more, null where a fan-out of it is under way.';

create or replace function app_private.schedule_cancel(notification_id int, run_at timestamptz) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'cancel_deliveries',
    json_build_object('notificationId', schedule_cancel.notification_id),
    run_at := schedule_cancel.run_at,
    job_key := 'cancel_deliveries:' || schedule_cancel.notification_id,
    max_attempts := 1000
  );
end;
$$;
comment on function app_private.schedule_cancel(int, timestamptz) is
  'Sees to it that a worker ends what is left of a canceled notification.';

create or replace function app_public.cancel_notification(id int) returns app_public.notifications
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification app_public.notifications;
begin
  update app_public.notifications n
  set status = 'canceled'
  where n.id = cancel_notification.id and n.status in ('scheduled', 'sending');
  if not found then
    if not exists (select from app_public.notifications n where n.id = cancel_notification.id) then
      raise exception using errcode = 'HWNFD', message = 'There is no such notification.';
    end if;
    raise exception using
      errcode = 'HWCFL',
      message = 'This notification is finished.',
      hint = 'Only what is scheduled or being sent can be canceled.';
  end if;
  if app_private.cancel_deliveries(id) is distinct from false then
    perform app_private.schedule_cancel(id, now());
  end if;
  select * into v_notification from app_public.notifications n where n.id = cancel_notification.id;
  return v_notification;
end;
$$;

-- Registrations of a user take turns where they count: twenty at once are no way around the limit.
create or replace function app_private.tg_device_tokens__limit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('devices of ' || new.user_id, 0));
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

-- A phone that was somebody else's for a moment, or logged out, and is back.
create or replace function app_private.tg_device_tokens__revive_deliveries() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_revived record;
begin
  for v_revived in
    with revived_delivery as (
      update app_public.notification_deliveries d
      set status = 'queued', error_code = null
      from app_public.notifications n
      where d.user_id = new.user_id
        and d.device_token_id = new.id
        and d.status = 'skipped'
        and d.error_code = 'DEVICE_GONE'
        and n.id = d.notification_id
        and n.ledger_month = d.month
        and n.status <> 'canceled'
        and n.expires_at > now()
      returning d.id, d.notification_id, d.month, d.device_type
    )
    select
      r.notification_id, r.month, array_agg(r.id) as ids, array_agg(r.device_type) as device_types
    from revived_delivery r
    group by r.notification_id, r.month
    order by r.notification_id
  loop
    perform app_private.add_batches(
      v_revived.notification_id, v_revived.month, v_revived.ids, v_revived.device_types, now()
    );
    -- Finished or not, something of it is still to come.
    update app_public.notifications n
    set status = 'sending'
    where n.id = v_revived.notification_id and n.status not in ('scheduled', 'sending', 'canceled');
  end loop;
  return null;
end;
$$;
comment on function app_private.tg_device_tokens__revive_deliveries() is
  'Trigger: what was skipped because the phone was gone goes out once its user has it back, until it expires.';
create or replace trigger _520_revive_deliveries
  after update of user_id, disabled_at on app_public.device_tokens
  for each row when (
    new.disabled_at is null
    and (old.user_id is distinct from new.user_id or old.disabled_at is not null)
  )
  execute function app_private.tg_device_tokens__revive_deliveries();

-- An app may acknowledge a push before its sender has written down what FCM called it.
create table if not exists app_private.early_acknowledgements (
  user_id int not null,
  message_id text not null,
  is_opened boolean not null,
  created_at timestamptz not null default now(),
  constraint early_acknowledgements_pkey primary key (user_id, message_id),
  constraint early_acknowledgements_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade
);
alter table app_private.early_acknowledgements enable row level security;
comment on table app_private.early_acknowledgements is
  'What apps have acknowledged while it was being sent, until its name is known; for ten minutes. No policy, no grant: the owner only.';

create or replace function app_public.acknowledge_delivery(message_id text, opened boolean default false)
returns app_public.notification_deliveries
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_delivery app_public.notification_deliveries;
begin
  if acknowledge_delivery.message_id is null then
    raise exception using
      errcode = 'HWINP', message = 'Which message? Give its messageId.', column = 'message_id';
  end if;
  -- By the index on the user: an index on message ids would cost every delivery for the few that ask.
  update app_public.notification_deliveries d
  set
    status = 'acknowledged',
    acknowledged_at = coalesce(d.acknowledged_at, now())
  where d.user_id = app_public.current_user_id()
    -- As FCM gave it, or its last part, which is what a device's SDK shows.
    and acknowledge_delivery.message_id in (d.message_id, substring(d.message_id from '[^/]*$'))
    and d.status in ('accepted', 'acknowledged')
  returning d.* into v_delivery;
  if found then
    if opened then
      update app_public.notification_recipients r
      set read_at = coalesce(r.read_at, now())
      where r.notification_id = v_delivery.notification_id and r.user_id = v_delivery.user_id;
    end if;
    return v_delivery;
  end if;
  -- It may be what is on its way to this user: kept until that is known. Of others nothing is said.
  insert into app_private.early_acknowledgements as e (user_id, message_id, is_opened)
  select app_public.current_user_id(), acknowledge_delivery.message_id, coalesce(opened, false)
  where length(acknowledge_delivery.message_id) between 1 and 500
    and exists (
      select from app_public.notification_deliveries d
      where d.user_id = app_public.current_user_id() and d.status = 'sending'
    )
    and (
      select count(*) from app_private.early_acknowledgements o
      where o.user_id = app_public.current_user_id()
    ) < 100
  on conflict on constraint early_acknowledgements_pkey do update
  set is_opened = e.is_opened or excluded.is_opened;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such delivery.';
  end if;
  return null;
end;
$$;
comment on function app_public.acknowledge_delivery(text, boolean) is
  'The app''s word that a push arrived (messageId as FCM gave it); opened marks it as read too. The delivery is null where it is still being sent: it becomes acknowledged in some seconds.';

create or replace function app_private.apply_acknowledgements() returns void
language plpgsql volatile
as $$
begin
  if not exists (select from app_private.early_acknowledgements) then
    return;
  end if;
  with
    acknowledged_delivery as (
      update app_public.notification_deliveries d
      set status = 'acknowledged', acknowledged_at = greatest(e.created_at, d.created_at)
      from app_private.early_acknowledgements e
      where d.user_id = e.user_id
        and e.message_id in (d.message_id, substring(d.message_id from '[^/]*$'))
        and d.status = 'accepted'
      returning d.notification_id, d.user_id, e.message_id, e.is_opened
    ),
    read_recipient as (
      update app_public.notification_recipients r
      set read_at = now()
      from acknowledged_delivery a
      where a.is_opened
        and r.notification_id = a.notification_id
        and r.user_id = a.user_id
        and r.read_at is null
    )
  delete from app_private.early_acknowledgements e
  using acknowledged_delivery a
  where e.user_id = a.user_id and e.message_id = a.message_id;
  delete from app_private.early_acknowledgements e where e.created_at < now() - interval '10 minutes';
end;
$$;
comment on function app_private.apply_acknowledgements() is
  'Applies acknowledgements that came before the outcome; each worker does so with its heartbeat.';

-- Small things, refused while somebody can still mend them.

create or replace function app_public.set_quiet_hours(starts time default null, ends time default null)
returns app_public.quiet_hours
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  -- 24:00 is shown as 00:00 everywhere, and is the same hour.
  v_starts time = case when starts = time '24:00' then time '00:00' else starts end;
  v_ends time = case when ends = time '24:00' then time '00:00' else ends end;
  v_quiet_hours app_public.quiet_hours;
begin
  if starts is null and ends is null then
    delete from app_public.quiet_hours q where q.user_id = app_public.current_user_id();
    return null;
  end if;
  if starts is null or ends is null then
    raise exception using
      errcode = 'HWINP',
      message = 'Quiet hours have a beginning and an end.',
      column = case when starts is null then 'starts' else 'ends' end;
  end if;
  insert into app_public.quiet_hours as q (user_id, starts, ends)
  values (app_public.current_user_id(), v_starts, v_ends)
  on conflict on constraint quiet_hours_pkey do update
  set starts = excluded.starts, ends = excluded.ends, updated_at = now()
  returning q.* into v_quiet_hours;
  return v_quiet_hours;
end;
$$;

create or replace function app_private.tg_notifications__check_text() returns trigger
language plpgsql volatile
as $$
begin
  -- Blanks, control characters, and those that have no width.
  if not new.is_silent
    and new.message ~ '^[[:space:][:cntrl:]\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufeff]*$'
  then
    perform app_private.refuse_notification('message', 'Nothing of this message can be seen.');
  end if;
  if new.collapse_key ~ '[[:cntrl:]]' then
    perform app_private.refuse_notification('collapse_key', 'A collapse key has no control characters.');
  end if;
  return new;
end;
$$;
comment on function app_private.tg_notifications__check_text() is
  'Trigger: a push shows something, and its collapse key fits into the headers of all platforms.';
create or replace trigger _210_check_text
  before insert on app_public.notifications
  for each row execute function app_private.tg_notifications__check_text();

alter table app_public.device_tokens drop constraint if exists device_tokens_token_ascii;
alter table app_public.device_tokens
  add constraint device_tokens_token_ascii check (token ~ '^[!-~]+$') not valid;
comment on constraint device_tokens_token_ascii on app_public.device_tokens is
  'A device token is made of ASCII letters, digits and signs.';

-- What is refused in nobody's words has its HTTP status for a code.
create or replace function app_private.push_error_advice(error_code text) returns text
language sql immutable parallel safe
as $$
  select case
    when error_code = 'THIRD_PARTY_AUTH_ERROR'
      then 'the platform refuses FCM''s credentials, so the APNs key (iOS) or the Web Push certificate (web) has to be mended in the Firebase console, Cloud Messaging'
    when error_code = 'SENDER_ID_MISMATCH'
      then 'the token belongs to another Firebase project, so the configuration of the app has to be mended, or FIREBASE_SERVICE_ACCOUNT'
    when error_code in ('PERMISSION_DENIED', 'UNAUTHENTICATED', 'NOT_FOUND', 'app/invalid-credential')
      then 'FCM refuses our credentials or our project, so FIREBASE_SERVICE_ACCOUNT has to be mended'
    when error_code in ('HTTP_401', 'HTTP_403', 'HTTP_404')
      then 'something between FCM and us refuses, or Google does without FCM''s words, so the way there has to be mended, or FIREBASE_SERVICE_ACCOUNT'
    when error_code in ('QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED', 'HTTP_429')
      then 'FCM wants fewer messages, and it goes on by itself'
    when error_code in ('INTERNAL', 'UNAVAILABLE') or error_code like 'HTTP\_5%'
      then 'FCM is out of order, and it goes on by itself'
  end;
$$;
