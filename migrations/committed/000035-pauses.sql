--! Previous: sha1:c4f7815d033fb08ade46a681eb971f6e8cfd937d
--! Hash: sha1:8af53f98716d91bbb1706bfbdfbec2a9cb96ff96
--! Message: pauses

-- When FCM wants less, or nothing at all, from us: pauses that all workers share, and a breaker against
-- taking good addresses for dead ones. Operators see both and decide.

create table app_public.push_pauses (
  id int generated always as identity,
  device_type app_public.device_type,
  error_code text not null,
  occurrences int not null default 1,
  paused_until timestamptz not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  constraint push_pauses_pkey primary key (id)
);
alter table app_public.push_pauses enable row level security;
create unique index push_pauses_open_idx
  on app_public.push_pauses (device_type, error_code) nulls not distinct where ended_at is null;
create policy select_operator on app_public.push_pauses for select to :DATABASE_OPERATOR using (true);
grant select on app_public.push_pauses to :DATABASE_OPERATOR;
-- `insert`, `update` and `delete` are not granted, because FCM's answers pause, and lift_push_pause() ends.
comment on table app_public.push_pauses is
  'While nothing is sent to a platform, or at all, because FCM said so; for operators.';
comment on column app_public.push_pauses.device_type is 'The platform; null for the whole project.';
comment on column app_public.push_pauses.error_code is 'FCM''s error code.';
comment on column app_public.push_pauses.occurrences is
  'How often in a row: each pause is twice as long as the one before, up to an hour.';
comment on column app_public.push_pauses.ended_at is
  'When FCM accepted again, or an operator lifted it.';

create table app_public.circuit_breakers (
  id int generated always as identity,
  device_type app_public.device_type not null,
  deliveries int not null default 0,
  created_at timestamptz not null default now(),
  decided_at timestamptz,
  decision text,
  constraint circuit_breakers_pkey primary key (id),
  constraint circuit_breakers_decision_known check (decision in ('retry', 'tombstone'))
);
alter table app_public.circuit_breakers enable row level security;
create unique index circuit_breakers_open_idx
  on app_public.circuit_breakers (device_type) where decided_at is null;
create policy select_operator on app_public.circuit_breakers for select to :DATABASE_OPERATOR
  using (true);
grant select on app_public.circuit_breakers to :DATABASE_OPERATOR;
-- `insert`, `update` and `delete` are not granted, because a batch trips it, and decide_circuit_breaker() ends it.
comment on table app_public.circuit_breakers is
  'Batches in which more than 10 and more than 20 % of the addresses seemed dead: nothing is tombstoned, the deliveries are held until an operator decides. For operators.';
comment on column app_public.circuit_breakers.deliveries is 'How many deliveries are held.';
comment on column app_public.circuit_breakers.decision is
  'retry: they were sent again; tombstone: their devices were disabled.';

create or replace function app_private.pause_seconds(first int, occurrence int)
returns double precision
language sql volatile
as $$
  select least(3600, first * 2 ^ least(occurrence - 1, 12)) * (1 + random() / 4);
$$;
comment on function app_private.pause_seconds(int, int) is
  'first seconds, and twice as long for each occurrence in a row, to an hour; up to a quarter more at random.';

create or replace function app_private.pause_pushes(
  device_type app_public.device_type, error_code text, retry_after double precision, first int
) returns timestamptz
language sql volatile
as $$
  insert into app_public.push_pauses as p (device_type, error_code, paused_until)
  values (
    pause_pushes.device_type,
    pause_pushes.error_code,
    now() + make_interval(secs => greatest(least(retry_after, 86400), app_private.pause_seconds(first, 1)))
  )
  on conflict (device_type, error_code) where ended_at is null do update
  set
    -- The batches that were under way when it began are no further occurrence.
    occurrences = p.occurrences + (p.paused_until <= now())::int,
    paused_until = greatest(
      p.paused_until,
      now() + make_interval(
        secs => greatest(
          least(retry_after, 86400),
          case when p.paused_until <= now() then app_private.pause_seconds(first, p.occurrences + 1) else 0 end
        )
      )
    )
  returning p.paused_until;
$$;
comment on function app_private.pause_pushes(app_public.device_type, text, double precision, int) is
  'Pauses a platform (null: all) for retry_after seconds at least (a day at most), longer each time in a row, beginning with first seconds; returns until when.';

create or replace function app_private.paused_until(device_type app_public.device_type)
returns timestamptz
language sql stable
as $$
  select max(p.paused_until) from app_public.push_pauses p
  where p.ended_at is null
    and p.paused_until > now()
    and (p.device_type is null or p.device_type = paused_until.device_type);
$$;
comment on function app_private.paused_until(app_public.device_type) is
  'Until when nothing is sent to a platform; null where it is not paused.';

create or replace function app_private.end_pauses(device_type app_public.device_type) returns void
language sql volatile
as $$
  update app_public.push_pauses p
  set ended_at = now()
  where p.ended_at is null
    and p.paused_until <= now()
    and (p.device_type is null or p.device_type = end_pauses.device_type);
$$;
comment on function app_private.end_pauses(app_public.device_type) is
  'FCM accepts again: what had run out is over, and the next pause begins with a minute.';

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
comment on function app_public.lift_push_pause(int) is
  'Ends a pause: what waited for it is sent now. For operators, once the cause is mended.';

create or replace function app_private.trip_circuit_breaker(
  device_type app_public.device_type, deliveries int
) returns int
language sql volatile
as $$
  insert into app_public.circuit_breakers as c (device_type, deliveries)
  values (trip_circuit_breaker.device_type, trip_circuit_breaker.deliveries)
  on conflict (device_type) where decided_at is null do update
  set deliveries = c.deliveries + excluded.deliveries
  returning c.id;
$$;
comment on function app_private.trip_circuit_breaker(app_public.device_type, int) is
  'Holds deliveries whose addresses seemed dead in suspicious number; returns the open breaker of the platform.';

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
    raise exception using errcode = 'HWNFD', message = 'There is no such open circuit breaker.';
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
comment on function app_public.decide_circuit_breaker(int, text) is
  'An operator''s word on addresses that seemed dead in suspicious number: retry sends again, tombstone disables the devices.';

grant execute on function
  app_public.lift_push_pause(int), app_public.decide_circuit_breaker(int, text)
to :DATABASE_OPERATOR;

alter table app_private.delivery_batches
  add constraint delivery_batches_circuit_breaker_id_fkey foreign key (circuit_breaker_id)
  references app_public.circuit_breakers;

alter table app_public.device_tokens add column paused_until timestamptz;
comment on column app_public.device_tokens.paused_until is
  E'@behavior -*\nNot before: FCM said that this device has had too many.';
