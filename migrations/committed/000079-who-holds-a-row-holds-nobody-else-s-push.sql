--! Previous: sha1:4de58577dbcf908d9fdd168331c7ee7a9681525a
--! Hash: sha1:ab96886f7db323388b64e62f8d1313dba79d3b5b
--! Message: who holds a row holds nobody else's push

-- claim_batch() as it was, but that it waits for nobody who changes quiet hours, a phone's owner, or another platform's pause.
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
set lock_timeout = '500ms'
as $$
declare
  v_batch app_private.delivery_batches;
  v_notification app_public.notifications;
  v_paused_until timestamptz;
  v_claimed bigint[];
  v_postponed jsonb;
  v_is_marked boolean;
  v_quiet_ids bigint[];
  v_gone_ids bigint[];
  v_held_ids bigint[];
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
  perform from app_public.push_pauses p
  where p.ended_at is null and (p.device_type is null or p.device_type = v_batch.device_type)
  order by p.id
  for share;
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

  -- Whoever changes quiet hours, their time zone or a phone's owner comes later than this, and then finds what it has put
  -- off or skipped. Whoever is at it already is not waited for: what hangs on it goes on by itself, in two seconds.
  if v_notification.expires_at > now() then
    v_quiet_ids := array(
      select d.id
      from app_public.notification_deliveries d
      join app_public.quiet_hours q on q.user_id = d.user_id
      join app_public.users u on u.id = q.user_id
      where d.id = any (v_batch.delivery_ids)
        and d.month = v_batch.month
        and d.status in ('queued', 'retrying', 'sending')
        and app_private.quiet_until(q, u.timezone, now()) is not null
    );
    v_gone_ids := array(
      select d.id
      from app_public.notification_deliveries d
      join app_public.device_tokens t on t.id = d.device_token_id
      where d.id = any (v_batch.delivery_ids)
        and d.month = v_batch.month
        and d.status in ('queued', 'retrying', 'sending')
        and (t.user_id <> d.user_id or t.disabled_at is not null)
    );
    v_held_ids := array(
      (
        select unnest(v_quiet_ids)
        except
        select l.id
        from (
          select d.id
          from app_public.notification_deliveries d
          join app_public.quiet_hours q on q.user_id = d.user_id
          where d.id = any (v_quiet_ids) and d.month = v_batch.month
          order by d.id
          for update of d skip locked
          for share of q skip locked
        ) l
      )
      union
      (
        select unnest(v_gone_ids)
        except
        select l.id
        from (
          select d.id
          from app_public.notification_deliveries d
          join app_public.device_tokens t on t.id = d.device_token_id
          where d.id = any (v_gone_ids) and d.month = v_batch.month
          order by t.id
          for share of t skip locked
        ) l
      )
    );
    if v_held_ids <> '{}' then
      perform app_private.add_batches(
        v_batch.notification_id,
        v_batch.month,
        v_held_ids,
        array_fill(v_batch.device_type, array[cardinality(v_held_ids)]),
        least(now() + interval '2 seconds', v_notification.expires_at)
      );
      v_batch.delivery_ids := array(
        select unnest(v_batch.delivery_ids) except select unnest(v_held_ids) order by 1
      );
      if v_batch.delivery_ids = '{}' then
        delete from app_private.delivery_batches b where b.id = v_batch.id;
        return;
      end if;
      update app_private.delivery_batches b
      set delivery_ids = v_batch.delivery_ids where b.id = v_batch.id;
    end if;
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

-- settle_notification() as it was, but that nobody's open transaction holds up who calls it.
create or replace function app_private.settle_notification(notification_id int) returns void
language plpgsql volatile
set lock_timeout = '500ms'
as $$
declare
  v_tally app_public.notification_tally;
  v_notification app_public.notifications;
begin
  begin
    -- Who ends the last but one waits here for who ends the last: one of them sees that all is done.
    select * into v_notification
    from app_public.notifications n
    where n.id = settle_notification.notification_id and n.status in ('sending', 'canceled')
    for no key update;
  exception when lock_not_available then
    -- Somebody else has its row, for who knows how long: what is to be written down besides does not wait for that.
    perform app_private.schedule_fan_out(settle_notification.notification_id, now() + interval '2 seconds', 5);
    return;
  end;
  if v_notification.id is null
    or exists (
      select from app_private.delivery_batches b where b.notification_id = v_notification.id
    )
    or (
      v_notification.status = 'sending'
      and app_private.next_fan_out_at(v_notification) is not null
    )
  then
    return;
  end if;
  v_tally := app_private.tally(settle_notification.notification_id);
  update app_public.notifications n
  set
    status = case
      when n.status = 'canceled' then 'canceled'
      -- What was not wanted any more is nobody's failure.
      when v_tally.deliveries = v_tally.skipped then 'no_devices'
      when v_tally.accepted = v_tally.deliveries - v_tally.skipped then 'sent'
      when v_tally.accepted > 0 then 'partial'
      when v_tally.expired > 0 then 'expired'
      else 'failed'
    end::app_public.notification_status,
    sent_status = v_tally.accepted > 0
  where n.id = settle_notification.notification_id;
end;
$$;

create or replace function app_private.put_off_batch(batch_id bigint, worker_id uuid, seconds int) returns void
language sql volatile
set lock_timeout = '500ms'
as $$
  with put_off_batch as (
    update app_private.delivery_batches b
    set run_at = now() + make_interval(secs => put_off_batch.seconds)
    where b.id = put_off_batch.batch_id
      -- A worker that was suspended may come too late with this.
      and (
        b.worker_id is null
        or b.worker_id = put_off_batch.worker_id
        or not exists (
          select from app_private.workers w where w.id = b.worker_id and app_private.is_alive(w)
        )
      )
    returning b.*
  )
  select app_private.add_batch_job(b) from put_off_batch b;
$$;
comment on function app_private.put_off_batch(bigint, uuid, int) is
  'Tries a batch again in so many seconds, unless another worker has it.';

create or replace function app_private.begin_fan_out(notification_id int) returns void
language plpgsql volatile
set lock_timeout = '250ms'
as $$
declare
  v_notification app_public.notifications;
begin
  select * into v_notification
  from app_public.notifications n where n.id = begin_fan_out.notification_id
  for no key update;
  if v_notification.status = 'canceled' then
    perform app_private.settle_notification(v_notification.id);
  elsif v_notification.status = 'scheduled'
    and v_notification.send_at_local is not null
    and not v_notification.is_audience_known
  then
    perform pg_advisory_xact_lock(hashtextextended('local times', 0));
  end if;
end;
$$;
comment on function app_private.begin_fan_out(int) is
  'Fails (lock_not_available) where fan_out_notification() would wait at its end for another''s open transaction, all its work done in vain. For a transaction of its own.';

alter function app_private.hand_over(bigint, uuid, int, bigint[]) set lock_timeout = '500ms';
