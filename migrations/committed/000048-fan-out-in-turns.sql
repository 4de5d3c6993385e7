--! Previous: sha1:472fbd5242181509ed2cb235eaf039a03f3e0816
--! Hash: sha1:b4dae587f7a105d930743298480b5d75855d65f3
--! Message: fan out in turns

-- Fan-outs take turns with each other, so that nobody's push waits for a long list or a slow audience; what
-- an audience, a moving user or a phone that changes hands does in between has one outcome.

drop function app_private.schedule_fan_out(int, timestamptz);
create or replace function app_private.schedule_fan_out(
  notification_id int, run_at timestamptz, priority int default 0
) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'fan_out_notification',
    json_build_object('notificationId', schedule_fan_out.notification_id),
    run_at := schedule_fan_out.run_at,
    priority := schedule_fan_out.priority,
    job_key := 'fan_out_notification:' || schedule_fan_out.notification_id,
    max_attempts := 1000
  );
end;
$$;
comment on function app_private.schedule_fan_out(int, timestamptz, int) is
  'Sees to it that a worker fans a notification out at run_at, instead of at any other time. priority: 0 for one that begins, more for one that has had a turn.';

create or replace function app_private.add_batches(
  notification_id int,
  month date,
  delivery_ids bigint[],
  device_types app_public.device_type[],
  run_at timestamptz
) returns void
language sql volatile
as $$
  with added_batch as (
    insert into app_private.delivery_batches (notification_id, month, device_type, delivery_ids, run_at)
    select
      add_batches.notification_id,
      add_batches.month,
      p.device_type,
      array_agg(p.id order by p.id),
      add_batches.run_at
    from (
      select d.id, d.device_type, (row_number() over (partition by d.device_type order by d.id) - 1) / 500
      from unnest(delivery_ids, device_types) as d(id, device_type)
    ) as p(id, device_type, part)
    group by p.device_type, p.part
    returning *
  )
  -- As add_batch_job() would, but all at once: that halves what the jobs of a fan-out cost.
  select graphile_worker.add_jobs(
    array_agg(
      row(
        'deliver_pushes',
        json_build_object('batchId', b.id),
        null,
        b.run_at,
        1000,
        'deliver_pushes:' || b.id,
        case when cardinality(b.delivery_ids) >= 500 then 10 else 0 end,
        null
      )::graphile_worker.job_spec
    )
  )
  from added_batch b
  having count(*) > 0;
$$;

create or replace function app_private.write_audience(n app_public.notifications) returns void
language plpgsql volatile
as $$
declare
  v_query text = case
    when n.audience is null then 'select unnest($2.users)'
    else app_private.audience_query(n.audience)
  end;
begin
  if v_query is null then
    raise exception 'The audience app_audiences.% of notification % is gone.', n.audience, n.id;
  end if;
  execute format(
    $query$
      insert into app_private.notification_audience (notification_id, user_id, due_at)
      select
        $1,
        u.id,
        $3 at time zone u.timezone
      from (select distinct a.id from (%s) as a(id)) as a
      join app_public.users u on u.id = a.id and u.deleted_at is null
      on conflict do nothing
    $query$,
    v_query
  )
  using n.id, n, n.send_at_local;
  if n.send_at_local is not null then
    -- Whoever moves takes turns with this (tg_users__move_due_times): they see these rows, or this their zone.
    perform pg_advisory_xact_lock(hashtextextended('local times', 0));
    update app_private.notification_audience a
    set due_at = n.send_at_local at time zone u.timezone
    from app_public.users u
    where a.notification_id = n.id
      and u.id = a.user_id
      and a.due_at is distinct from n.send_at_local at time zone u.timezone;
  end if;
end;
$$;

create or replace function app_private.tg_users__move_due_times() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification_id int;
begin
  -- An audience that is being written down has this user's old time zone, and nobody sees it yet.
  perform pg_advisory_xact_lock_shared(hashtextextended('local times', 0));
  for v_notification_id in
    select a.notification_id from app_private.notification_audience a
    where a.user_id = new.id and a.due_at is not null order by a.notification_id
  loop
    -- A fan-out that is under way would set the time of the next one by what it saw before.
    perform pg_advisory_xact_lock(hashtextextended('fan out ' || v_notification_id, 0));
    update app_private.notification_audience a
    set due_at = n.send_at_local at time zone new.timezone
    from app_public.notifications n
    where a.user_id = new.id and a.notification_id = v_notification_id and n.id = a.notification_id;
    perform app_private.schedule_fan_out(
      v_notification_id,
      (
        select min(a.due_at) from app_private.notification_audience a
        where a.notification_id = v_notification_id
      )
    );
  end loop;
  return null;
end;
$$;

create or replace function app_private.take_due_users(n app_public.notifications, chunk_size int)
returns int[]
language plpgsql volatile
as $$
declare
  v_users int[];
begin
  if n.audience is null and n.send_at_local is null then
    -- A list is its own memory of who is still to come: nothing is written down for each.
    return n.users[n.fanned_out_users + 1 : n.fanned_out_users + chunk_size];
  end if;
  -- Without an order the first ones that are found; by local time those that have waited longest.
  with due_user as (
    delete from app_private.notification_audience a
    where a.notification_id = n.id
      and a.user_id in (
        (
          select o.user_id from app_private.notification_audience o
          where o.notification_id = n.id and n.send_at_local is null
          limit chunk_size
        )
        union all
        (
          select o.user_id from app_private.notification_audience o
          where o.notification_id = n.id and n.send_at_local is not null and o.due_at <= now()
          order by o.due_at
          limit chunk_size
        )
      )
    returning a.user_id
  )
  select array_agg(u.user_id order by u.user_id) into v_users from due_user u;
  return v_users;
end;
$$;

create or replace function app_private.fan_out_notification(
  notification_id int, chunk_size int, out has_more boolean
)
language plpgsql volatile
set plan_cache_mode = force_custom_plan
as $$
declare
  v_notification app_public.notifications;
  v_users int[];
  v_known_ids int[];
  v_delivery_ids bigint[];
  v_device_types app_public.device_type[];
  v_revived_ids bigint[];
  v_revived_types app_public.device_type[];
  v_next timestamptz;
begin
  has_more := false;
  -- One at a time; the notification's own row stays free for those who settle it.
  perform pg_advisory_xact_lock(hashtextextended('fan out ' || fan_out_notification.notification_id, 0));
  select * into v_notification
  from app_public.notifications n where n.id = fan_out_notification.notification_id;
  if not found or v_notification.status not in ('scheduled', 'sending') then
    return;
  end if;
  if not v_notification.is_audience_known
    and (v_notification.audience is not null or v_notification.send_at_local is not null)
  then
    if v_notification.expires_at <= now() then
      -- For whom it was nobody can say any more: its audience failed until it was too late.
      update app_public.notifications n
      set status = 'expired' where n.id = v_notification.id;
      return;
    end if;
    -- The developer's SQL may be slow. One at a time: it must not fill a worker's slots. (Not by a queue of
    -- graphile-worker's: with completions that are written apart it goes on at the next poll only.)
    if v_notification.audience is not null
      and not pg_try_advisory_xact_lock(hashtextextended('audiences', 0))
    then
      perform app_private.schedule_fan_out(v_notification.id, now() + interval '1 second');
      return;
    end if;
    -- In a transaction of its own: those who move to another time zone wait for it.
    perform app_private.write_audience(v_notification);
    update app_public.notifications n
    set is_audience_known = true
    where n.id = v_notification.id and n.status = 'scheduled';
    if found then
      has_more := true;
    else
      -- Canceled meanwhile.
      delete from app_private.notification_audience a where a.notification_id = v_notification.id;
    end if;
    return;
  end if;
  if v_notification.ledger_month is null then
    v_notification.ledger_month := date_trunc('month', now());
    perform app_private.ensure_ledger_month(v_notification.ledger_month);
  end if;
  v_users := app_private.take_due_users(v_notification, chunk_size);

  if v_users is not null then
    -- Fan-outs of a notification take turns: what is there already can be looked up, which is a third cheaper
    -- than `on conflict`.
    insert into app_public.notification_recipients (notification_id, user_id, read_at)
    select v_notification.id, u.id, case when v_notification.is_silent then now() end
    from app_public.users u
    where u.id = any (v_users)
      and u.deleted_at is null
      and u.id not in (
        select r.user_id from app_public.notification_recipients r
        where r.notification_id = v_notification.id and r.user_id = any (v_users)
      );

    with
      -- Devices of a closed account are disabled.
      device as materialized (
        select d.id, d.user_id, d.device_type
        from app_public.device_tokens d
        where d.user_id = any (v_users) and d.disabled_at is null
      ),
      -- A phone may have changed hands since an earlier chunk.
      known as materialized (
        select o.device_token_id as id from app_public.notification_deliveries o
        where o.month = v_notification.ledger_month
          and o.notification_id = v_notification.id
          and o.device_token_id = any (array(select device.id from device))
      ),
      new_delivery as (
        insert into app_public.notification_deliveries (
          month, notification_id, user_id, device_token_id, device_type
        )
        select v_notification.ledger_month, v_notification.id, d.user_id, d.id, d.device_type
        from device d
        where d.id not in (select known.id from known)
        returning id, device_type
      )
    select array_agg(d.id), array_agg(d.device_type), (select array_agg(known.id) from known)
    into v_delivery_ids, v_device_types, v_known_ids
    from new_delivery d;

    if v_known_ids is not null then
      -- What its former owner did not get on it, the new one does.
      with moved as materialized (
        select d.id, d.status as before, t.user_id
        from app_public.notification_deliveries d
        join app_public.device_tokens t on t.id = d.device_token_id and t.user_id <> d.user_id
        where d.month = v_notification.ledger_month
          and d.notification_id = v_notification.id
          and d.device_token_id = any (v_known_ids)
          and (
            d.status in ('queued', 'retrying')
            or (d.status = 'skipped' and d.error_code = 'DEVICE_GONE')
          )
        for update of d
      ),
      moved_delivery as (
        update app_public.notification_deliveries d
        set
          user_id = m.user_id,
          status = case when d.status = 'skipped' then 'queued' else d.status end,
          error_code = null
        from moved m
        where d.id = m.id and d.month = v_notification.ledger_month
        returning d.id, d.device_type, m.before
      )
      select array_agg(d.id), array_agg(d.device_type) into v_revived_ids, v_revived_types
      -- The others are in a batch already.
      from moved_delivery d where d.before = 'skipped';
      v_delivery_ids := v_delivery_ids || v_revived_ids;
      v_device_types := v_device_types || v_revived_types;
    end if;

    if v_delivery_ids is not null then
      perform app_private.add_batches(
        v_notification.id,
        v_notification.ledger_month,
        v_delivery_ids,
        v_device_types,
        now() + make_interval(secs => coalesce(v_notification.unread_seconds, 0))
      );
    end if;
  end if;

  update app_public.notifications n
  set
    is_audience_known = true,
    ledger_month = v_notification.ledger_month,
    fanned_out_users = least(n.fanned_out_users + chunk_size, cardinality(n.users)),
    status = case
      when n.status = 'scheduled' and v_users is not null then 'sending'
      else n.status
    end
  where n.id = v_notification.id
  returning n.* into v_notification;
  v_next := app_private.next_fan_out_at(v_notification);
  if v_next is null then
    -- For nobody at all it has been sent as well.
    update app_public.notifications n
    set status = 'sending' where n.id = v_notification.id and n.status = 'scheduled';
    perform app_private.settle_notification(v_notification.id);
  elsif v_next <= now() then
    has_more := true;
  else
    perform app_private.schedule_fan_out(v_notification.id, v_next);
  end if;
end;
$$;

create or replace function app_private.sweep(out dead_workers int, out batches int, out notifications int)
language plpgsql volatile
as $$
declare
  v_worker app_private.workers;
  v_notification_id int;
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
        -- One that is locked was a dead worker's, too: a new one takes its place.
        where j.key = 'deliver_pushes:' || b.id
          and j.locked_at is null
          and j.attempts < j.max_attempts
      )
    limit 1000
  )
  select count(*) into batches
  from (select app_private.add_batch_job(b) from lost_batch b) as added;

  for v_notification_id in
    select n.id from app_public.notifications n
    where n.status in ('scheduled', 'sending')
      and n.send_at < now() - interval '10 seconds'
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

create or replace function app_public.cancel_notification(id int) returns app_public.notifications
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification app_public.notifications;
begin
  -- Whose audience is still being looked up need not be waited for: the fan-out sees it at its end.
  update app_public.notifications n
  set status = 'canceled'
  where n.id = cancel_notification.id
    and n.status = 'scheduled'
    and not n.is_audience_known
    and (n.audience is not null or n.send_at_local is not null)
  returning * into v_notification;
  if found then
    return v_notification;
  end if;
  -- In the order in which fan-out and workers lock: they finish what they are at.
  perform pg_advisory_xact_lock(hashtextextended('fan out ' || cancel_notification.id, 0));
  perform from app_private.delivery_batches b
  where b.notification_id = cancel_notification.id order by b.id for update;
  select * into v_notification
  from app_public.notifications n where n.id = cancel_notification.id for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such notification.';
  end if;
  if v_notification.status not in ('scheduled', 'sending') then
    raise exception using
      errcode = 'HWCFL',
      message = 'This notification is finished.',
      hint = 'Only what is scheduled or being sent can be canceled.';
  end if;
  delete from app_private.notification_audience a where a.notification_id = v_notification.id;
  delete from app_private.delivery_batches b
  where b.notification_id = v_notification.id and b.worker_id is null;
  -- What a worker has it ends itself; what one had that is gone is nobody's any more.
  update app_public.notification_deliveries d
  set status = 'canceled', next_attempt_at = null
  where d.notification_id = v_notification.id
    and d.status in ('queued', 'retrying', 'sending')
    and not exists (
      select from app_private.delivery_batches b
      where b.notification_id = v_notification.id and d.id = any (b.delivery_ids)
    );
  update app_public.notifications n
  set status = 'canceled' where n.id = v_notification.id
  returning * into v_notification;
  perform app_private.settle_notification(v_notification.id);
  select * into v_notification from app_public.notifications n where n.id = v_notification.id;
  return v_notification;
end;
$$;

-- Refused while somebody can still mend it, not found out when nothing arrives.
create or replace function app_private.tg_notifications__check_wait() returns trigger
language plpgsql volatile
as $$
begin
  if new.send_at + make_interval(secs => new.unread_seconds) >= new.expires_at then
    perform app_private.refuse_notification(
      'unread_seconds', 'It expires before it has waited so long for being read.'
    );
  end if;
  return new;
end;
$$;
comment on function app_private.tg_notifications__check_wait() is
  'Trigger: a push that waits for being read must be able to go out.';
create trigger _200_check_wait
  before insert on app_public.notifications
  for each row when (new.unread_seconds is not null)
  execute function app_private.tg_notifications__check_wait();
