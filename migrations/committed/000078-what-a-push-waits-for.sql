--! Previous: sha1:d2ffbef4a1922e67fc604f84a4f4ad6cb2988e6e
--! Hash: sha1:4de58577dbcf908d9fdd168331c7ee7a9681525a
--! Message: what a push waits for

-- What a push waits for: claim_batch() as it was, but for the phones that have changed hands.
create or replace function app_private.claim_batch(
  batch_id bigint,
  worker_id uuid,
  marks_all boolean,
  out fence int,
  out notification jsonb,
  out deliveries jsonb
)
language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set lock_timeout = '2s'
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

  -- A phone that has changed hands goes on for its new owner, where who moved it could not see this: its fan-out was
  -- still writing, or an answer of FCM was under way.
  update app_public.notification_deliveries d
  set user_id = t.user_id
  from app_public.device_tokens t
  where d.id = any (v_batch.delivery_ids)
    and d.month = v_batch.month
    and d.status in ('queued', 'retrying', 'sending')
    and t.id = d.device_token_id
    and t.user_id <> d.user_id
    and t.disabled_at is null
    and exists (
      select from app_public.notification_recipients r
      where r.notification_id = d.notification_id and r.user_id = t.user_id
    );

  -- Whoever changes quiet hours, their time zone or the phone's owner waits until this has judged by the old ones, and
  -- then finds what it has put off; or this waits, and judges by the new ones.
  perform from app_public.notification_deliveries d
  join app_public.quiet_hours q on q.user_id = d.user_id
  join app_public.users u on u.id = q.user_id
  where d.id = any (v_batch.delivery_ids)
    and d.month = v_batch.month
    and d.status in ('queued', 'retrying', 'sending')
    and app_private.quiet_until(q, u.timezone, now()) is not null
  order by d.id
  for update of d
  for share of q;

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

-- record_batch() as it was, but that it waits for no device.
create or replace function app_private.record_batch(
  batch_id bigint, worker_id uuid, fence int, outcomes jsonb, out recorded int, out alert text
)
language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set lock_timeout = '2s'
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
  v_outcomes jsonb;
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

  -- By a set operation, which hashes: an array that a kept plan does not know is read for each row.
  v_ids := array(
    select o.id from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
    intersect
    select unnest(v_batch.delivery_ids)
  );
  if cardinality(v_ids) < jsonb_array_length(outcomes) then
    -- An answer to this that was lost on its way makes the worker say all again.
    select coalesce(jsonb_agg(o), '[]') into outcomes
    from jsonb_array_elements(outcomes) o
    where (o ->> 'id')::bigint = any (v_ids);
  end if;
  if v_ids = '{}' then
    recorded := 0;
    return;
  end if;
  select
    array_agg(o.id) filter (where o.status = 'dead_address'),
    count(*) filter (where o.status = 'accepted'),
    -- Of those that were written in parts, too.
    v_batch.answered + count(*) filter (where o.status <> 'queued')
  into v_dead_ids, v_accepted, v_answered
  from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o;
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
    where o.pause in ('project', 'platform', 'outage')
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

  -- Each row looks for its own outcome: a join with what is in no table is planned by guesses, and one wrong guess reads
  -- the whole ledger for each of them.
  select jsonb_object_agg(o.id, o) into v_outcomes
  from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o;
  with
    recorded_delivery as (
      update app_public.notification_deliveries d
      set (status, attempts, message_id, error_code, error_message, sent_at, next_attempt_at) = (
        select
          case
            when s.status in ('retrying', 'queued') and v_notification.status = 'canceled' then 'canceled'
            else s.status
          end,
          d.attempts - (s.status = 'queued' and d.status = 'sending')::int,
          coalesce(o.message_id, d.message_id),
          case when s.status = 'queued' then d.error_code else o.error_code end,
          case when s.status = 'queued' then d.error_message else left(o.error_message, 500) end,
          case when s.status = 'accepted' then now() else d.sent_at end,
          case
            when o.status = 'dead_address' and v_breaker_id is not null then 'infinity'
            when s.status = 'retrying' then now() + make_interval(secs => least(o.retry_after, 86400))
          end
        from jsonb_populate_record(null::app_private.delivery_outcome, v_outcomes -> d.id::text) o
        cross join lateral (
          select case
            when o.status = 'dead_address' and v_breaker_id is not null then 'retrying'
            when o.status = 'unknown' and v_notification.delivery = 'at_least_once' then 'retrying'
            else o.status
          end as status
        ) s
      )
      where d.id = any (v_ids)
        and d.month = v_batch.month
        -- Of what is sent at most once, what was not handed over was never marked.
        and (
          d.status = 'sending'
          or (d.status in ('queued', 'retrying') and v_outcomes -> d.id::text ->> 'status' = 'queued')
        )
      returning d.id, d.device_token_id, d.user_id, d.status
    ),
    -- A device that somebody is changing is not waited for: it is registered anew, or the next push finds out as well.
    dead_device as (
      select t.id
      from recorded_delivery r
      join app_public.device_tokens t on t.id = r.device_token_id and t.user_id = r.user_id
      where r.status = 'dead_address' and t.disabled_at is null
      for update of t skip locked
    ),
    disabled_device as (
      update app_public.device_tokens t
      set disabled_at = now(), disabled_reason = 'dead_address'
      from dead_device d
      where t.id = d.id
    ),
    refused_device as (
      select t.id, o.retry_after, o.error_code
      from recorded_delivery r
      cross join lateral jsonb_populate_record(
        null::app_private.delivery_outcome, v_outcomes -> r.id::text
      ) o
      join app_public.device_tokens t on t.id = r.device_token_id
      where o.pause = 'device' or (o.pause in ('project', 'platform') and o.error_code = any (v_alone_codes))
      for update of t skip locked
    ),
    paused_device as (
      update app_public.device_tokens t
      set
        paused_until = now() + make_interval(secs => least(r.retry_after, 86400)),
        pause_error_code = r.error_code
      from refused_device r
      where t.id = r.id
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

-- A fan-out or a hand-over that waits for a lock lets others go first.
alter function app_private.fan_out_notification(int, int) set lock_timeout = '2s';
alter function app_private.hand_over(bigint, uuid, int, bigint[]) set lock_timeout = '2s';

-- sweep() as it was, but for jobs that a living worker has taken.
create or replace function app_private.sweep(out dead_workers int, out batches int, out notifications int)
language plpgsql volatile
as $$
declare
  v_worker app_private.workers;
  v_notification_id int;
  v_turn timestamptz;
begin
  dead_workers := 0;
  batches := 0;
  notifications := 0;
  -- One worker at a time is enough.
  if not pg_try_advisory_xact_lock(hashtextextended('sweep', 0)) then
    return;
  end if;
  for v_worker in
    delete from app_private.workers w where not app_private.is_alive(w) returning w.*
  loop
    perform graphile_worker.force_unlock_workers(v_worker.job_worker_ids);
    dead_workers := dead_workers + 1;
  end loop;

  -- A batch whose worker is gone, and whose job may be as well.
  with lost_batch as (
    select b.* from app_private.delivery_batches b
    where b.circuit_breaker_id is null
      and b.run_at < now() - interval '10 seconds'
      and not exists (select from app_private.workers w where w.id = b.worker_id)
      and not exists (
        select from graphile_worker.jobs j
        where j.key = 'deliver_pushes:' || b.id
          and j.attempts < j.max_attempts
          -- One that is locked is waiting for its turn in a worker; or it was a dead one's, and a new one takes its place.
          and (
            j.locked_at is null
            or exists (select from app_private.workers w where j.locked_by = any (w.job_worker_ids))
          )
      )
    limit 1000
  )
  select count(*) into batches
  from (select app_private.add_batch_job(b) from lost_batch b) as added;

  -- Those whose turn is still to come are not lost, nor looked for: of a long queue that would be all of it.
  select j.run_at into v_turn
  from graphile_worker._private_jobs j
  join graphile_worker._private_tasks t on t.id = j.task_id and t.identifier = 'fan_out_notification'
  where j.is_available
  order by j.priority, j.run_at
  limit 1;
  for v_notification_id in
    select n.id from app_public.notifications n
    where n.status in ('scheduled', 'sending')
      and n.send_at < least(now(), v_turn) - interval '10 seconds'
      and not exists (
        select from app_private.delivery_batches b where b.notification_id = n.id
      )
      and not exists (
        select from graphile_worker.jobs j
        where j.key = 'fan_out_notification:' || n.id and j.attempts < j.max_attempts
      )
    union all
    -- One whose audience fails is tried again after hours: it expires on time all the same.
    select n.id from app_public.notifications n
    where n.status = 'scheduled'
      and n.expires_at <= now()
      and exists (
        select from graphile_worker.jobs j
        where j.key = 'fan_out_notification:' || n.id and j.run_at > now() and j.locked_at is null
      )
    limit 1000
  loop
    perform app_private.schedule_fan_out(v_notification_id, now());
    notifications := notifications + 1;
  end loop;

  -- Held for an operator's decision until it was too late.
  with expired_batch as (
    select b.* from app_private.delivery_batches b
    where b.circuit_breaker_id is not null and b.run_at <= now()
    limit 1000
  )
  select batches + count(*) into batches
  from (select app_private.add_batch_job(b) from expired_batch b) as added;
end;
$$;

-- Where nothing is heard of Google, its credentials are not the ones to be mended.
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
    when error_code in ('app/network-error', 'app/network-timeout')
      then 'nothing answers at Google''s address, so the worker''s way there (network, DNS, proxy) has to be mended, or Google is away'
    when error_code in ('INTERNAL', 'UNAVAILABLE') or error_code like 'HTTP\_5%'
      then 'FCM is out of order, and it goes on by itself'
  end;
$$;
