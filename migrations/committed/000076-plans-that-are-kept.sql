--! Previous: sha1:404c1f4d1d74407d6b900b72bdfdc082a7b61b70
--! Hash: sha1:f75e03c551971d5480309d7afbb62c156cd4e80f
--! Message: plans that are kept

-- A notification to one phone cost PostgreSQL 16 ms, two thirds of them planning: a dozen statements over the ledger's
-- partitions, anew at each call. A plan that is kept knows neither the partition nor how few rows there are, so all that
-- it may do is look them up by index: right for one as for five hundred. The partition is picked when it runs.
do $$
declare
  v_function regprocedure;
begin
  foreach v_function in array array[
    'app_private.fan_out_notification(int, int)',
    'app_private.claim_batch(bigint, uuid, boolean)',
    'app_private.hand_over(bigint, uuid, int, bigint[])'
  ]::regprocedure[] loop
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
    execute format('alter function %s set enable_seqscan = off', v_function);
    execute format('alter function %s set enable_hashjoin = off', v_function);
    execute format('alter function %s set enable_mergejoin = off', v_function);
  end loop;
end;
$$;
-- record_batch() as it was, but for its plans and how it finds what it is told of.
create or replace function app_private.record_batch(
  batch_id bigint, worker_id uuid, fence int, outcomes jsonb, out recorded int, out alert text
)
language plpgsql volatile
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
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
      set
        paused_until = now() + make_interval(secs => least(o.retry_after, 86400)),
        pause_error_code = o.error_code
      from recorded_delivery r
      cross join lateral jsonb_populate_record(
        null::app_private.delivery_outcome, v_outcomes -> r.id::text
      ) o
      where t.id = r.device_token_id
        and (o.pause = 'device' or (o.pause in ('project', 'platform') and o.error_code = any (v_alone_codes)))
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

-- It runs a developer's SQL, which is none of the above.
alter function app_private.write_audience(app_public.notifications) set plan_cache_mode = auto;
alter function app_private.write_audience(app_public.notifications) set enable_seqscan = on;
alter function app_private.write_audience(app_public.notifications) set enable_hashjoin = on;
alter function app_private.write_audience(app_public.notifications) set enable_mergejoin = on;
