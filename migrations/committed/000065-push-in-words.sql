--! Previous: sha1:e89ffcac4a47c5367080fa703fe483fc6c040aa9
--! Hash: sha1:fc9b387f6f9f2716ac2bd96f804f10436c0624b6
--! Message: push in words

-- What operators and senders are told: one answer to "why was it not delivered?" for API, console and tool, what FCM
-- objected to, and a sentence for each mistake, from wherever notify() is called.

-- What FCM said.

alter table app_public.notification_deliveries add column error_message text;
comment on column app_public.notification_deliveries.error_message is
  E'@behavior -*\nWhat FCM objected to, in its words, without tokens; shown to operators.';
comment on column app_public.notification_deliveries.error_code is
  E'@behavior -filterBy -orderBy\nWhy the last attempt failed: FCM''s error code, HTTP_ and a status, or what no answer looked like (TIMEOUT, app/network-error); WORKER_LOST. Of skipped DEVICE_GONE, PREFERENCE or READ; of queued QUIET_HOURS.';
comment on column app_public.notification_deliveries.next_attempt_at is
  E'@behavior -filterBy -orderBy\nNot tried again before. While a circuit breaker holds it: infinity in SQL, null in the API.';
comment on column app_public.push_pauses.error_code is
  'FCM''s error code; OPERATOR and their reason where an operator paused by hand.';
comment on column app_public.circuit_breakers.decision is
  'retry: they were sent again; tombstone: they were marked as dead, and their devices disabled.';
alter type app_private.delivery_outcome add attribute error_message text;

create or replace function app_private.error_message_of(delivery app_public.notification_deliveries) returns text
language sql stable parallel safe
as $$
  -- What was put off or skipped since has a reason of ours, and FCM's older words no more to do with it.
  select case
    when delivery.status in ('retrying', 'dead_address', 'failed', 'unknown', 'expired')
      and delivery.error_code <> 'QUIET_HOURS'
      then nullif(delivery.error_message, '')
  end;
$$;
comment on function app_private.error_message_of(app_public.notification_deliveries) is
  'What FCM objected to when it gave the delivery''s error code.';

create or replace function app_public.notification_deliveries_error_message(
  delivery app_public.notification_deliveries
) returns text
language sql stable parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
  select case when app_hidden.request_is_by_operator() then app_private.error_message_of(delivery) end;
$$;
comment on function app_public.notification_deliveries_error_message(app_public.notification_deliveries) is
  'What FCM objected to, in its own words, without tokens; for operators.';
grant execute on function
  app_public.notification_deliveries_error_message(app_public.notification_deliveries)
to :DATABASE_USER;

alter table app_public.device_tokens add column pause_error_code text;
comment on column app_public.device_tokens.pause_error_code is
  E'@behavior -*\nWhy it waits, or last waited, until paused_until: FCM''s error code.';
comment on column app_public.device_tokens.paused_until is
  E'@behavior -*\nNot before: FCM wants fewer messages for this device, or refuses it alone (pause_error_code).';

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
    -- One 503 is bad luck, many are an outage.
    continue when v_retry.pause = 'outage' and v_retry.deliveries < 10;
    v_is_alone := case
      -- Only a quota is hit in the middle of a batch; else one that was accepted shows that all is well.
      when v_retry.error_code in ('QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED') then false
      when v_accepted > 0 then true
      -- One user's devices may be another project's, by mistake or on purpose.
      when v_retry.error_code = 'SENDER_ID_MISMATCH' then v_users < 2
      -- Devices that had it before must not hold their platform again and again.
      when v_retry.error_code = 'THIRD_PARTY_AUTH_ERROR' then not exists (
        select
        from jsonb_populate_recordset(null::app_private.delivery_outcome, outcomes) o
        join app_public.notification_deliveries d on d.id = o.id and d.month = v_batch.month
        join app_public.device_tokens t on t.id = d.device_token_id
        where o.id = any (v_ids)
          and o.error_code = v_retry.error_code
          and (t.pause_error_code = o.error_code and t.paused_until > now() - interval '1 day') is not true
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
        attempts = d.attempts - (o.status = 'queued')::int,
        message_id = coalesce(o.message_id, d.message_id),
        error_code = case when o.status = 'queued' then d.error_code else o.error_code end,
        error_message = case when o.status = 'queued' then d.error_message else o.error_message end,
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
      set
        -- One whose platform pauses for it is only known to have had it.
        paused_until = now() + make_interval(
          secs => case when r.pause = 'device' or r.error_code = any (v_alone_codes) then r.retry_after else 0 end
        ),
        pause_error_code = r.error_code
      from recorded_delivery r
      where t.id = r.device_token_id
        and (
          r.pause = 'device'
          or (r.pause in ('project', 'platform') and r.error_code = any (v_alone_codes))
          or (r.pause = 'platform' and r.error_code = 'THIRD_PARTY_AUTH_ERROR' and v_users < 2)
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
  'Writes outcomes of a claimed batch (array of delivery_outcome): of all of it, which ends it, or of those that are known. Marks dead devices, pauses what FCM wants paused and queues what is tried again. recorded: how many it took; alert, for the log: lost (another worker has the batch), circuit_breaker, FCM''s error code where sending is paused, or "devices: " and the code where only the devices concerned wait.';

-- Why it was not delivered.

create or replace function app_hidden.instant(moment timestamptz) returns text
language sql stable strict parallel safe
as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS" UTC"');
$$;

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
    when error_code in ('QUOTA_EXCEEDED', 'RESOURCE_EXHAUSTED') then 'FCM wants fewer messages, and it goes on by itself'
    when error_code in ('INTERNAL', 'UNAVAILABLE') or error_code like 'HTTP\_5%'
      then 'FCM is out of order, and it goes on by itself'
  end;
$$;
comment on function app_private.push_error_advice(text) is
  'What an error of FCM that pauses sending means, and what to do; null for others.';

create or replace function app_private.reason_of_delivery(
  delivery app_public.notification_deliveries,
  notification app_public.notifications,
  is_for_operator boolean,
  out reason text,
  out because text
)
language plpgsql stable parallel safe
as $$
declare
  v_device app_public.device_tokens;
  v_batch app_private.delivery_batches;
  v_pause app_public.push_pauses;
  v_read_at timestamptz;
  v_due_at timestamptz;
  v_error text;
  v_job_error text;
begin
  select * into v_device from app_public.device_tokens t where t.id = delivery.device_token_id;
  select r.read_at into v_read_at from app_public.notification_recipients r
  where r.notification_id = delivery.notification_id and r.user_id = delivery.user_id;
  -- The code, and for operators FCM's words.
  v_error := delivery.error_code || coalesce(
    ': ' || case when is_for_operator then rtrim(app_private.error_message_of(delivery), '. ') end, ''
  );

  reason := delivery.status;
  case delivery.status
    when 'acknowledged' then
      because := 'got it, the app said so' || coalesce(' at ' || app_hidden.instant(delivery.acknowledged_at), '');
      return;
    when 'accepted' then
      because := format(
        'was sent it, FCM accepted it%s, but the app has not acknowledged it (the phone may be off, may show nothing, or the app does not call acknowledgeDelivery)',
        ' at ' || app_hidden.instant(delivery.sent_at)
      );
      return;
    when 'dead_address' then
      because := format('has a dead address (%s): the app has to register it anew', v_error);
      return;
    when 'failed' then
      because := format('was refused by FCM for good (%s)', v_error);
      return;
    when 'unknown' then
      because := format('may have got it: FCM did not answer (%s), and AT_MOST_ONCE does not try again', v_error);
      return;
    when 'canceled' then
      because := 'had not been reached when it was canceled';
      return;
    when 'expired' then
      -- Whether a pause was in force then; a row lasts from the first to the last of its occurrences.
      select * into v_pause from app_public.push_pauses p
      where p.created_at < notification.expires_at
        and p.paused_until >= notification.expires_at
        and coalesce(p.ended_at, 'infinity') >= notification.expires_at
        and (p.device_type is null or p.device_type = delivery.device_type)
      order by p.id desc limit 1;
      because := format('had not been reached when it expired at %s', app_hidden.instant(notification.expires_at))
        || case
          when delivery.error_code = 'QUIET_HOURS' then ' (it waited for the end of the user''s quiet hours)'
          else coalesce(' (last answer: ' || v_error || ')', '')
        end
        || case
          when v_pause.id is null then ''
          when is_for_operator then format(', while pushes were paused (%s, pause %s)', v_pause.error_code, v_pause.id)
          else ', while pushes were paused'
        end;
      return;
    when 'skipped' then
      reason := case delivery.error_code when 'PREFERENCE' then 'muted' when 'READ' then 'read' else 'device_gone' end;
      because := case reason
        when 'muted' then format('was skipped: the user has muted %s', notification.event)
        when 'read' then 'was skipped: it had been read' || coalesce(' at ' || app_hidden.instant(v_read_at), '')
        else coalesce('was disabled (' || v_device.disabled_reason || ')', 'changed hands') || ' before it was sent'
      end;
      return;
    else
      -- sending, queued or retrying: what it waits for, the strongest hindrance first.
  end case;

  select * into v_batch from app_private.delivery_batches b
  where b.notification_id = delivery.notification_id and delivery.id = any (b.delivery_ids);
  if delivery.status = 'sending' then
    because := case
      when is_for_operator and v_batch.worker_id is not null and not exists (
        select from app_private.workers w where w.id = v_batch.worker_id and app_private.is_alive(w)
      ) then 'was being sent it by a worker that has died; another takes over within 30 seconds'
      else 'is being sent it at this moment'
    end;
    return;
  end if;
  if v_batch.circuit_breaker_id is not null then
    reason := 'breaker';
    because := case
      when is_for_operator then format(
        'is held by circuit breaker %1$s, because suspiciously many addresses seemed dead: `breaker:decide %1$s retry` or `tombstone` (decideCircuitBreaker)',
        v_batch.circuit_breaker_id
      )
      else 'waits for an operator''s decision'
    end;
    return;
  end if;
  select * into v_pause from app_public.push_pauses p
  where p.ended_at is null
    and p.paused_until > now()
    and (p.device_type is null or p.device_type = delivery.device_type)
  order by p.paused_until desc limit 1;
  if found then
    reason := 'paused';
    because := 'waits: pushes are paused until ' || app_hidden.instant(v_pause.paused_until)
      || case
        when is_for_operator then format(' (%s, pause %s)', v_pause.error_code, v_pause.id)
          || coalesce(': ' || app_private.push_error_advice(v_pause.error_code), '')
        else ''
      end;
    return;
  end if;
  v_due_at := case when isfinite(delivery.next_attempt_at) then delivery.next_attempt_at end;
  v_due_at := coalesce(v_due_at, v_batch.run_at);
  v_due_at := case when v_due_at > now() then v_due_at end;
  if delivery.error_code = 'QUIET_HOURS' and v_due_at is not null then
    reason := 'quiet_hours';
    because := 'waits for the end of the user''s quiet hours at ' || app_hidden.instant(v_due_at);
    return;
  end if;
  if v_device.paused_until > now() then
    reason := case v_device.pause_error_code
      when 'SENDER_ID_MISMATCH' then 'other_project'
      when 'THIRD_PARTY_AUTH_ERROR' then 'device_refused'
      else 'device_paused'
    end;
    because := case
      when reason = 'device_paused' then format(
        'waits until %s: FCM wants fewer messages for it', app_hidden.instant(v_device.paused_until)
      )
      else format(
        'waits until %s%s',
        app_hidden.instant(v_device.paused_until),
        case when is_for_operator then format(
          ': FCM answered %s, %s', v_device.pause_error_code, app_private.push_error_advice(v_device.pause_error_code)
        ) end
      )
    end;
    return;
  end if;
  if notification.unread_seconds is not null and v_read_at is not null then
    reason := 'read';
    because := 'is not sent it any more: it was read at ' || app_hidden.instant(v_read_at);
    return;
  end if;
  if is_for_operator and not exists (select from app_private.workers w where app_private.is_alive(w)) then
    reason := 'no_worker';
    because := 'waits for a worker, and none is alive';
    return;
  end if;
  if delivery.attempts > 0 and delivery.error_code is not null then
    reason := 'retrying';
    because := format(
      'was tried %s, %s was %s%s%s',
      case delivery.attempts when 1 then 'once' else delivery.attempts || ' times' end,
      case
        when delivery.error_code = 'TIMEOUT' or delivery.error_code like 'app/network%' then 'the last failure'
        else 'FCM''s last answer'
      end,
      v_error,
      ', and is tried again at ' || app_hidden.instant(v_due_at),
      case when is_for_operator and delivery.error_code in (
        'SENDER_ID_MISMATCH', 'THIRD_PARTY_AUTH_ERROR', 'PERMISSION_DENIED', 'UNAUTHENTICATED', 'NOT_FOUND'
      ) then ' (' || app_private.push_error_advice(delivery.error_code) || ')' end
    );
    return;
  end if;
  if v_due_at is not null then
    reason := 'waiting';
    because := format('waits until %s, in case it is read before (unreadSeconds)', app_hidden.instant(v_due_at));
    return;
  end if;
  if is_for_operator then
    select j.last_error into v_job_error
    from graphile_worker.jobs j where j.key = 'deliver_pushes:' || v_batch.id;
    if v_job_error is not null then
      reason := 'job_failed';
      because := format('waits: the job that sends it failed (%s)', left(split_part(v_job_error, e'\n', 1), 200));
      return;
    end if;
  end if;
  reason := 'queued';
  because := 'is next: its batch waits for a free worker';
end;
$$;
comment on function app_private.reason_of_delivery(
  app_public.notification_deliveries, app_public.notifications, boolean
) is
  'What keeps a delivery from its device, or that nothing does: a word for programs (docs/operating.md has them all), and the end of a sentence whose subject is the device.';

create or replace function app_private.reason_without_delivery(
  notification app_public.notifications,
  recipient app_public.users,
  is_for_operator boolean,
  out reason text,
  out because text
)
language plpgsql stable parallel safe
as $$
declare
  v_user_id int = recipient.id;
  v_disabled_at timestamptz;
  v_device app_public.device_tokens;
  v_audience app_private.notification_audience;
  v_due_at timestamptz;
  v_error text;
begin
  if notification.audience is null and (v_user_id = any (notification.users)) is not true then
    reason := 'not_a_recipient';
    because := 'they are not among its recipients';
    return;
  end if;
  if notification.tally is not null then
    reason := 'ledger_dropped';
    because := 'nobody can say, its ledger was dropped with its month';
    return;
  end if;
  if exists (
    select from app_public.notification_recipients r
    where r.notification_id = notification.id and r.user_id = v_user_id
  ) then
    select d.disabled_at into v_disabled_at from app_private.disabled_users d where d.user_id = v_user_id;
    if found then
      reason := 'user_disabled';
      because := 'their account is disabled since ' || app_hidden.instant(v_disabled_at);
      return;
    end if;
    reason := 'no_device';
    -- A live one first: it has come since.
    select * into v_device from app_public.device_tokens t
    where t.user_id = v_user_id order by t.disabled_at desc limit 1;
    because := case
      when v_device.id is null then 'they have never registered a device'
      when v_device.disabled_at is null then 'they had no device yet when it was sent'
      else format(
        'they have no device any more, the last was disabled at %s (%s)',
        app_hidden.instant(v_device.disabled_at),
        v_device.disabled_reason
      )
    end || '; it is in their inbox';
    return;
  end if;

  -- It has not come to them, or never will.
  if recipient.deleted_at is not null then
    reason := 'user_gone';
    because := 'they closed their account at ' || app_hidden.instant(recipient.deleted_at);
    return;
  end if;
  if notification.status = 'canceled' then
    reason := 'canceled';
    because := 'it was canceled before it came to them';
    return;
  end if;
  select j.last_error into v_error
  from graphile_worker.jobs j where j.key = 'fan_out_notification:' || notification.id;
  v_error := case when is_for_operator then left(split_part(v_error, e'\n', 1), 200) end;
  if notification.status = 'expired' or notification.expires_at <= now() then
    reason := 'expired';
    because := format('it expired at %s before it came to them', app_hidden.instant(notification.expires_at))
      || coalesce(': its job failed (' || v_error || ')', '');
    return;
  end if;
  select * into v_audience from app_private.notification_audience a
  where a.notification_id = notification.id and a.user_id = v_user_id;
  if notification.audience is not null and notification.is_audience_known and not found then
    reason := 'not_a_recipient';
    because := format('they were not in the audience %s when it was looked up', notification.audience);
    return;
  end if;
  v_due_at := coalesce(
    v_audience.due_at, notification.send_at_local at time zone recipient.timezone, notification.send_at
  );
  if v_due_at > now() then
    reason := 'scheduled';
    because := case
      when notification.send_at_local is null then 'it is due at ' || app_hidden.instant(v_due_at)
      else format(
        'it is due for them at %s by their own clock, which is %s',
        to_char(notification.send_at_local, 'YYYY-MM-DD HH24:MI:SS'),
        app_hidden.instant(v_due_at)
      )
    end;
    return;
  end if;
  reason := 'not_fanned_out';
  because := 'it has not been fanned out to them: ' || case
    when not is_for_operator then 'it will be in a moment'
    when not exists (select from app_private.workers w where app_private.is_alive(w)) then 'no worker is alive'
    when v_error is not null then format('its job failed (%s)', v_error)
    else 'a worker is at it, or will be in a moment'
  end;
end;
$$;
comment on function app_private.reason_without_delivery(
  app_public.notifications, app_public.users, boolean
) is 'Why the ledger has nothing of a notification for a user: a word for programs, and the end of a sentence.';

create or replace function app_private.why_not_delivered(
  notification_id int,
  user_id int,
  is_for_operator boolean default true,
  out reason text,
  out sentence text,
  out deliveries jsonb
)
language plpgsql stable strict parallel safe
as $$
declare
  v_notification app_public.notifications;
  v_user app_public.users;
  v_said text;
begin
  select * into v_notification from app_public.notifications n where n.id = why_not_delivered.notification_id;
  if not found then
    raise exception using
      errcode = 'HWNFD', message = format('There is no notification %s.', why_not_delivered.notification_id);
  end if;
  select * into v_user from app_public.users u where u.id = why_not_delivered.user_id;
  if not found then
    raise exception using errcode = 'HWNFD', message = format('There is no user %s.', why_not_delivered.user_id);
  end if;

  select
    coalesce(
      jsonb_agg(
        jsonb_build_object(
          'device', d.device_token_id, 'platform', d.device_type, 'status', d.status, 'reason', r.reason,
          'because', r.because, 'attempts', d.attempts, 'error', d.error_code,
          'errorMessage', app_private.error_message_of(d), 'sentAt', d.sent_at,
          'acknowledgedAt', d.acknowledged_at,
          'nextAttemptAt', case when isfinite(d.next_attempt_at) then d.next_attempt_at end
        )
        order by d.id
      ),
      '[]'
    ),
    string_agg(format('device %s (%s) %s', d.device_token_id, d.device_type, r.because), '; ' order by d.id),
    -- Of the device that it came nearest to.
    (
      array_agg(
        r.reason order by array_position(array['acknowledged', 'accepted'], d.status::text) nulls last, d.id
      )
    )[1]
  into deliveries, v_said, reason
  from app_public.notification_deliveries d
  cross join app_private.reason_of_delivery(d, v_notification, is_for_operator) r
  where d.notification_id = v_notification.id
    and d.month = v_notification.ledger_month
    and d.user_id = v_user.id;

  if v_said is null then
    select r.reason, r.because into reason, v_said
    from app_private.reason_without_delivery(v_notification, v_user, is_for_operator) r;
  elsif reason = 'acknowledged' then
    select
      format(
        'the app on device %s (%s) said so%s',
        d ->> 'device',
        d ->> 'platform',
        ' at ' || app_hidden.instant((d ->> 'acknowledgedAt')::timestamptz)
      )
    into v_said
    from jsonb_array_elements(deliveries) d where d ->> 'status' = 'acknowledged' limit 1;
  end if;
  sentence := format(
    'Notification %s %s user %s: %s.',
    v_notification.id,
    case reason
      when 'acknowledged' then 'did reach'
      when 'accepted' then 'is not known to have reached'
      else 'did not reach'
    end,
    v_user.id,
    v_said
  );
end;
$$;
comment on function app_private.why_not_delivered(int, int, boolean) is
  'Why a notification did not reach a user, or that it did: in a word for programs, in a sentence for people, and for each device. Only operators are told of pauses, workers, jobs and FCM''s words. The one answer of explainDelivery, the console and the operator''s tool.';

create or replace function app_public.explain_delivery(notification_id int, user_id int) returns text
language plpgsql stable strict parallel safe security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_is_operator boolean = app_hidden.request_is_by_operator();
begin
  -- A definer, because the reasons are in private tables: of whom and of what one may ask is said here.
  if not v_is_operator and not exists (
    select from app_public.notification_recipients r
    where r.notification_id = explain_delivery.notification_id
      and r.user_id = explain_delivery.user_id
      and r.user_id = app_public.current_user_id()
  ) then
    raise exception using errcode = 'HWNFD', message = 'There is no such notification or user.';
  end if;
  return (
    select w.sentence
    from app_private.why_not_delivered(
      explain_delivery.notification_id, explain_delivery.user_id, v_is_operator
    ) w
  );
end;
$$;
comment on function app_public.explain_delivery(int, int) is
  'Whether a notification reached a user, and if not, why: a sentence, with a reason for each device. About oneself, or for an operator about anybody; operators are told of pauses, workers, failed jobs and what FCM said besides.';

-- What is over already.

create or replace function app_public.lift_push_pause(id int) returns app_public.push_pauses
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_pause app_public.push_pauses;
begin
  update app_public.push_pauses p
  set ended_at = now() where p.id = lift_push_pause.id and p.ended_at is null
  returning p.* into v_pause;
  if not found then
    select * into v_pause from app_public.push_pauses p where p.id = lift_push_pause.id;
    if found then
      raise exception using
        errcode = 'HWCFL',
        message = format('This pause is over already, since %s.', app_hidden.instant(v_pause.ended_at));
    end if;
    raise exception using errcode = 'HWNFD', message = 'There is no such pause.';
  end if;
  -- What waited for it is sent at once, unless another pause holds it.
  with waiting_batch as (
    update app_private.delivery_batches b
    set run_at = now()
    where b.worker_id is null
      and b.circuit_breaker_id is null
      and b.run_at between now() and v_pause.paused_until
      and (v_pause.device_type is null or b.device_type = v_pause.device_type)
    returning b.*
  )
  select count(*) from (select app_private.add_batch_job(b) from waiting_batch b) as jobs into id;
  return v_pause;
end;
$$;

create or replace function app_public.decide_circuit_breaker(id int, decision text)
returns app_public.circuit_breakers
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_breaker app_public.circuit_breakers;
  v_batch app_private.delivery_batches;
begin
  if decision not in ('retry', 'tombstone') then
    raise exception using
      errcode = 'HWINP', message = 'A decision is retry or tombstone.', column = 'decision';
  end if;
  update app_public.circuit_breakers c
  set decided_at = now(), decision = decide_circuit_breaker.decision
  where c.id = decide_circuit_breaker.id and c.decided_at is null
  returning c.* into v_breaker;
  if not found then
    select * into v_breaker from app_public.circuit_breakers c where c.id = decide_circuit_breaker.id;
    if found then
      raise exception using
        errcode = 'HWCFL',
        message = format(
          'This circuit breaker has been decided already: %s, at %s.',
          v_breaker.decision,
          app_hidden.instant(v_breaker.decided_at)
        );
    end if;
    raise exception using errcode = 'HWNFD', message = 'There is no such circuit breaker.';
  end if;
  for v_batch in
    select * from app_private.delivery_batches b where b.circuit_breaker_id = v_breaker.id for update
  loop
    if decision = 'retry' then
      update app_private.delivery_batches b
      set circuit_breaker_id = null, run_at = now() where b.id = v_batch.id
      returning b.* into v_batch;
      perform app_private.add_batch_job(v_batch);
    else
      with dead_delivery as (
        update app_public.notification_deliveries d
        set status = 'dead_address', next_attempt_at = null
        where d.id = any (v_batch.delivery_ids)
          and d.month = v_batch.month
          and d.status in ('retrying', 'queued')
        returning d.device_token_id, d.user_id, d.created_at
      )
      update app_public.device_tokens t
      set disabled_at = now(), disabled_reason = 'dead_address'
      from dead_delivery d
      where t.id = d.device_token_id
        and t.user_id = d.user_id
        and t.disabled_at is null
        -- A device that has registered again since is not dead.
        and t.last_seen_at <= v_breaker.created_at;
      delete from app_private.delivery_batches b where b.id = v_batch.id;
      perform app_private.settle_notification(v_batch.notification_id);
    end if;
  end loop;
  return v_breaker;
end;
$$;

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
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such delivery.';
  end if;
  if opened then
    update app_public.notification_recipients r
    set read_at = coalesce(r.read_at, now())
    where r.notification_id = v_delivery.notification_id and r.user_id = v_delivery.user_id;
  end if;
  return v_delivery;
end;
$$;

-- What a sender is told.

create or replace function app_private.audience_fault(audience text) returns text
language plpgsql stable
as $$
declare
  v_kind text;
  v_names text;
begin
  if app_private.audience_query(audience) is not null then
    return null;
  end if;
  select 'relation' into v_kind from pg_class c
  where c.relnamespace = 'app_audiences'::regnamespace and c.relname = audience and c.relkind in ('v', 'm', 'r');
  if found then
    return format('"%s" is no audience: it has no column user_id of the type int.', audience);
  end if;
  select 'function' into v_kind from pg_proc p
  where p.pronamespace = 'app_audiences'::regnamespace and p.proname = audience limit 1;
  if found then
    return format('"%s" is no audience: it is no function without arguments that returns setof int.', audience);
  end if;
  select string_agg(a.name, ', ' order by a.name) into v_names
  from (
    select n.name
    from (
      select c.relname::text as name from pg_class c
      where c.relnamespace = 'app_audiences'::regnamespace and c.relkind in ('v', 'm', 'r')
      union
      select p.proname::text from pg_proc p where p.pronamespace = 'app_audiences'::regnamespace
    ) as n
    where app_private.audience_query(n.name) is not null
    order by n.name
    limit 20
  ) as a;
  return format('There is no audience "%s"; ', left(audience, 63))
    || coalesce('there are: ' || v_names || '.', 'the schema app_audiences has none.');
end;
$$;
comment on function app_private.audience_fault(text) is
  'Why a name is no audience, in a sentence; null where it is one.';

create or replace function app_private.check_audience(users int[], audience text) returns void
language plpgsql stable
as $$
declare
  v_unknown int;
  v_fault text;
begin
  if audience is not null and cardinality(users) > 0 then
    perform app_private.refuse_notification('audience', 'Give users or an audience, not both.');
  elsif audience is not null then
    v_fault := app_private.audience_fault(audience);
    if v_fault is not null then
      perform app_private.refuse_notification('audience', v_fault);
    end if;
    return;
  end if;
  if coalesce(cardinality(users), 0) = 0 or array_position(users, null) is not null then
    perform app_private.refuse_notification('users', 'A notification needs at least one user, by id.');
  end if;
  select u.id into v_unknown from unnest(users) as u(id)
  where not exists (select from app_public.users p where p.id = u.id and p.deleted_at is null)
  limit 1;
  if found then
    perform app_private.refuse_notification('users', format('There is no user %s.', v_unknown));
  end if;
end;
$$;

create or replace function app_private.last_local_time(
  users int[], send_at_local timestamp, out timezone text, out due_at timestamptz
)
language sql stable
as $$
  select z.timezone, send_at_local at time zone z.timezone
  from (
    select distinct p.timezone from app_public.users p where p.id = any (users)
    union all
    select 'Etc/GMT+12' where coalesce(cardinality(users), 0) = 0
  ) as z
  order by 2 desc
  limit 1;
$$;
comment on function app_private.last_local_time(int[], timestamp) is
  'Where, of these users, a local time comes last, and when; of a named audience nobody knows where they live: where it comes last of all.';

create or replace function app_private.check_times(
  users int[],
  send_at timestamptz,
  send_at_local timestamp,
  expires_at timestamptz,
  begins_at timestamptz
) returns void
language plpgsql stable
as $$
declare
  v_time_zone text;
begin
  if send_at is not null and send_at_local is not null then
    perform app_private.refuse_notification('send_at_local', 'Give a time to send at or a local time, not both.');
  end if;
  if not isfinite(send_at) or send_at > now() + interval '1 year' then
    perform app_private.refuse_notification('send_at', 'The time to send at is more than a year away.');
  end if;
  if not isfinite(send_at_local) or send_at_local > now() + interval '1 year' then
    perform app_private.refuse_notification('send_at_local', 'The local time to send at is more than a year away.');
  end if;
  if send_at < now() - interval '1 minute' then
    perform app_private.refuse_notification('send_at', 'The time to send at is in the past.');
  end if;
  if send_at_local is not null then
    -- Of a named audience nobody knows yet where they live: it must do for everywhere.
    select u.timezone into v_time_zone
    from (
      select distinct p.timezone from app_public.users p where p.id = any (users)
      union all
      select 'Pacific/Kiritimati' where coalesce(cardinality(users), 0) = 0
    ) as u
    where send_at_local at time zone u.timezone < now() - interval '1 minute'
    limit 1;
    if found then
      perform app_private.refuse_notification(
        'send_at_local', format('The local time to send at is in the past in %s.', v_time_zone)
      );
    end if;
    select l.timezone into v_time_zone from app_private.last_local_time(users, send_at_local) l
    where coalesce(expires_at, begins_at + interval '4 weeks') <= l.due_at;
    if found then
      perform app_private.refuse_notification(
        'expires_at', format('A notification cannot expire before it is sent, in %s as well.', v_time_zone)
      );
    end if;
  end if;
  if expires_at <= greatest(begins_at, now()) then
    perform app_private.refuse_notification('expires_at', 'A notification cannot expire before it is sent.');
  end if;
end;
$$;
create or replace function app_private.notify(
  users int[] default null,
  event text default null,
  message text default null,
  title text default null,
  data jsonb default null,
  send_at timestamptz default null,
  expires_at timestamptz default null,
  collapse_key text default null,
  priority app_public.notification_priority default null,
  delivery app_public.delivery_guarantee default null,
  send_at_local timestamp default null,
  audience text default null,
  silent boolean default null,
  badge boolean default null,
  unread_seconds int default null
) returns app_public.notifications
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_users int[] = array(select distinct u.id from unnest(notify.users) as u(id) order by u.id);
  v_is_silent boolean = coalesce(silent, false);
  v_begins_at timestamptz = coalesce(
    notify.send_at,
    -- Nobody's clock is ahead of this one's.
    greatest(now(), notify.send_at_local at time zone 'Pacific/Kiritimati'),
    now()
  );
  v_constraint text;
  v_notification app_public.notifications;
begin
  -- Somebody who is named twice gets it once; a list that is mostly repeats is a mistake.
  if cardinality(users) - cardinality(v_users) > 1000 then
    perform app_private.refuse_notification('users', 'More than 1,000 of these users are repeats.');
  end if;
  perform app_private.check_audience(v_users, notify.audience);
  if v_is_silent and notify.title is not null then
    perform app_private.refuse_notification('title', 'A silent notification shows no title.');
  end if;
  if not v_is_silent and coalesce(btrim(notify.message), '') = '' then
    perform app_private.refuse_notification('message', 'A notification needs a message.');
  end if;
  if v_is_silent and notify.unread_seconds is not null then
    perform app_private.refuse_notification(
      'unread_seconds', 'A silent notification counts as read at once: it cannot wait for being read.'
    );
  end if;
  if notify.event is null then
    perform app_private.refuse_notification('event', 'A notification needs an event.');
  end if;
  if exists (select from app_public.notification_events)
    and not exists (select from app_public.notification_events e where e.event = notify.event)
  then
    perform app_private.refuse_notification(
      'event', format('There is no event "%s" in notification_events.', left(notify.event, 100))
    );
  end if;
  perform app_private.check_times(
    v_users, notify.send_at, notify.send_at_local, notify.expires_at, v_begins_at
  );
  -- Of other times a trigger of the table sees to it.
  if notify.send_at_local is not null and (
    select l.due_at + make_interval(secs => notify.unread_seconds)
    from app_private.last_local_time(v_users, notify.send_at_local) l
  ) >= coalesce(notify.expires_at, v_begins_at + interval '4 weeks') then
    perform app_private.refuse_notification(
      'unread_seconds', 'It expires before it has waited so long for being read.'
    );
  end if;
  perform app_private.check_push_payload(
    notify.event, coalesce(notify.message, ''), notify.title, coalesce(notify.data, '{}')
  );

  begin
    insert into app_public.notifications (
      users, event, title, message, data, send_at, expires_at, collapse_key, priority, delivery,
      send_at_local, audience, is_silent, has_badge, unread_seconds
    )
    values (
      v_users,
      notify.event,
      notify.title,
      coalesce(notify.message, ''),
      coalesce(notify.data, '{}'),
      v_begins_at,
      coalesce(notify.expires_at, v_begins_at + interval '4 weeks'),
      notify.collapse_key,
      coalesce(notify.priority, case when v_is_silent then 'normal' else 'high' end::app_public.notification_priority),
      coalesce(notify.delivery, 'at_least_once'),
      notify.send_at_local,
      notify.audience,
      v_is_silent,
      coalesce(notify.badge, false),
      notify.unread_seconds
    )
    returning * into v_notification;
  exception
    when check_violation then
      -- In the words of the constraint's comment, wherever it was called from.
      get stacked diagnostics v_constraint = constraint_name;
      perform app_private.refuse_notification(a.attname, obj_description(c.oid, 'pg_constraint'))
      from pg_constraint c
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
      where c.conrelid = 'app_public.notifications'::regclass and c.conname = v_constraint
      order by a.attname = 'send_at', a.attnum
      limit 1;
      raise;
  end;

  perform app_private.schedule_fan_out(v_notification.id, v_begins_at);
  return v_notification;
end;
$$;

create or replace function app_public.send_notification(
  users int[],
  event text,
  message text,
  title text,
  data jsonb,
  send_at timestamptz,
  expires_at timestamptz,
  collapse_key text,
  priority app_public.notification_priority,
  delivery app_public.delivery_guarantee,
  send_at_local timestamp,
  audience text,
  silent boolean,
  badge boolean,
  unread_seconds int,
  dry_run boolean,
  out notification_id int,
  out recipients int,
  out devices int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if dry_run then
    -- Done and undone: what would be refused is refused, and nothing stays.
    begin
      select s.notification_id, s.recipients, s.devices into notification_id, recipients, devices
      from app_public.send_notification(
        users, event, message, title, data, send_at, expires_at, collapse_key, priority, delivery,
        send_at_local, audience, silent, badge, unread_seconds, false
      ) s;
      begin
        perform app_private.write_audience(n)
        from app_public.notifications n where n.id = send_notification.notification_id;
      exception
        when others then
          -- The detail is PostgreSQL's own text: for the owner, the API does not pass it on.
          raise exception using
            errcode = 'HWINP',
            message = format('The audience "%s" cannot be looked up: its SQL fails.', audience),
            detail = sqlerrm,
            hint = format('Try it by hand: select from app_audiences.%I.', audience),
            column = 'audience';
      end;
      select count(distinct a.user_id), count(d.id) into recipients, devices
      from app_private.notification_audience a
      left join app_public.device_tokens d on d.user_id = a.user_id and d.disabled_at is null
      where a.notification_id = send_notification.notification_id;
      raise exception using errcode = 'HWOK0';
    exception
      when sqlstate 'HWOK0' then notification_id := null;
    end;
    return;
  end if;
  notification_id := (
    app_private.notify(
      users, event, message, title, data, send_at, expires_at, collapse_key, priority, delivery,
      send_at_local, audience, silent, badge, unread_seconds
    )
  ).id;
end;
$$;
