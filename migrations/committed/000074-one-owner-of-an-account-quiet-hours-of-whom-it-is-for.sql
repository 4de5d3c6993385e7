--! Previous: sha1:c8d38f2a68438a7df53420d3219d8170acf28d92
--! Hash: sha1:c109328155d84491c15bb08f2df81469f9dd1a68
--! Message: one owner of an account; quiet hours of whom it is for

-- An account belongs to whoever proves one of its addresses, whole: what others have put into it goes.

create or replace function app_private.void_proofs(user_id int) returns void
language sql volatile
as $$
  delete from app_private.user_tokens t where t.user_id = void_proofs.user_id and t.used_at is null;
$$;
comment on function app_private.void_proofs(int) is
  'Voids all links and codes that were sent for a user: of resets, of changes, and of addresses that stand in the account.';

create or replace function app_private.reset_password(
  token_hash bytea, new_password_hash text, client jsonb
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
  v_user app_public.users;
begin
  update app_private.user_tokens t
  set used_at = now()
  where t.token_hash = reset_password.token_hash
    and t.purpose = 'password_reset'
    and t.used_at is null
    and t.expires_at > now()
  returning t.* into v_token;
  if not found then
    return false;
  end if;
  -- What was proven, or changed, since the link was asked for counts now.
  select * into v_user
  from app_public.users u where u.id = v_token.user_id and u.deleted_at is null for update;
  if not found or not app_private.may_reset(v_user, v_token.target) then
    return false;
  end if;
  -- The link came by this address, which proves it. Whoever signed up may be somebody else, who gave their own
  -- address beside it: it goes, with its link or code, before it can become a way into the account.
  update app_public.users u
  set
    email_verified = p.email,
    email = case when p.email then u.email end,
    phone_verified = p.phone,
    phone = case when p.phone then u.phone end
  from (
    select
      coalesce(v_user.email_verified or v_user.email = v_token.target::citext, false) as email,
      coalesce(v_user.phone_verified or v_user.phone = v_token.target, false) as phone
  ) as p
  where u.id = v_user.id;
  perform app_private.void_proofs(v_user.id);
  perform app_private.set_password(v_user.id, new_password_hash, null, 'password_reset');
  perform app_private.log_security_event('password_reset', v_user.id, null, client);
  return true;
end;
$$;
comment on function app_private.reset_password(bytea, text, jsonb) is
  'Uses a reset link (its token as SHA-256): the new password, the address that it came by proven, every session, proof and address that nobody has proven gone. False where the link is not valid.';

-- A link that was sent before would still move the account of a disabled user, and after it is enabled again.

create or replace function app_private.disable_user(user_id int, reason text default null)
returns boolean
language plpgsql volatile
as $$
declare
  v_is_new boolean;
begin
  -- Who opens a session at this moment is waited for.
  perform from app_public.users u
  where u.id = disable_user.user_id and u.deleted_at is null for update;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such user.';
  end if;
  insert into app_private.disabled_users (user_id, reason)
  values (disable_user.user_id, disable_user.reason)
  on conflict on constraint disabled_users_pkey do nothing;
  v_is_new := found;
  perform app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = disable_user.user_id and s.revoked_at is null
    ),
    'user_disabled'
  );
  -- Those that no session registered.
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'logged_out'
  where d.user_id = disable_user.user_id and d.disabled_at is null;
  perform app_private.void_proofs(disable_user.user_id);
  if v_is_new then
    perform app_private.log_security_event('account_disabled', disable_user.user_id, null, null);
  end if;
  return v_is_new;
end;
$$;

comment on function app_private.disable_user(int, text) is
  'Shuts an account: its sessions end, its devices get no more pushes, its links and codes are void. False where it was shut already. HWNFD where there is no such user.';

create or replace function app_private.enable_user(user_id int) returns boolean
language plpgsql volatile
as $$
begin
  delete from app_private.disabled_users d where d.user_id = enable_user.user_id;
  if not found then
    return false;
  end if;
  -- What was asked for at the moment when it was disabled.
  perform app_private.void_proofs(enable_user.user_id);
  perform app_private.log_security_event('account_enabled', enable_user.user_id, null, null);
  return true;
end;
$$;

create or replace function app_private.verify_phone(
  user_id int,
  code_hash bytea,
  client jsonb,
  session_id int,
  out outcome text,
  out verified_user_id int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
begin
  -- In the order of whoever resets the password or disables the account: the user, then the proof.
  perform from app_public.users u where u.id = verify_phone.user_id for update;
  update app_private.user_tokens t
  set
    attempts = t.attempts + 1 - f.is_stray,
    stray_attempts = t.stray_attempts + f.is_stray
  from (
    select (
      verify_phone.client is not null
      and verify_phone.session_id is null
      and s.asked_from is distinct from app_private.ip_key(verify_phone.client)
    )::int as is_stray
    from app_private.user_tokens s
    where s.user_id = verify_phone.user_id and s.purpose = 'phone_verification'
  ) f
  where t.user_id = verify_phone.user_id
    and t.purpose = 'phone_verification'
    and t.used_at is null
    and t.expires_at > now()
    and case when f.is_stray = 1 then t.stray_attempts else t.attempts end < 5
  returning t.* into v_token;
  if not found or v_token.token_hash <> code_hash then
    outcome := 'wrong';
    return;
  end if;
  update app_private.user_tokens t
  set used_at = now() where t.user_id = v_token.user_id and t.purpose = v_token.purpose;
  if client is not null then
    perform app_private.act_for(client, session_id);
  end if;
  verified_user_id := (app_private.use_proof(v_token.user_id, v_token.purpose, v_token.target)).id;
  outcome := 'verified';
end;
$$;

create or replace function app_public.verify_email(token text) returns app_public.users
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_token app_private.user_tokens;
begin
  -- In the order of whoever resets the password or disables the account: the user, then the proof.
  perform from app_public.users u
  join app_private.user_tokens t on t.user_id = u.id
  where t.token_hash = sha256(convert_to(verify_email.token, 'utf8')) and t.purpose = 'email_verification'
  for update of u;
  update app_private.user_tokens t
  set used_at = now()
  where t.token_hash = sha256(convert_to(verify_email.token, 'utf8'))
    and t.purpose = 'email_verification'
    and t.used_at is null
    and t.expires_at > now()
  returning t.* into v_token;
  if not found then
    raise exception using
      errcode = 'HWINP',
      message = 'This link is not valid any more.',
      hint = 'Ask for another one.',
      column = 'token';
  end if;
  return app_private.use_proof(v_token.user_id, v_token.purpose, v_token.target);
end;
$$;

-- A first address that waits can be taken back as well; and what is no address is not one too many.

create or replace function app_private.request_address_change(
  u app_public.users, purpose app_private.user_token_purpose, address text
) returns void
language plpgsql volatile
as $$
declare
  v_is_email boolean = purpose = 'email_verification';
  v_address text = case
    when v_is_email then app_hidden.normalize_email(address)::text
    else app_hidden.normalize_phone(address)
  end;
begin
  if v_address is not distinct from (case when v_is_email then u.email::text else u.phone end) then
    delete from app_private.user_tokens t
    where t.user_id = u.id
      and t.purpose = request_address_change.purpose
      and t.used_at is null
      and t.target is distinct from v_address;
    return;
  end if;
  if v_address is null then
    raise exception using
      errcode = 'HWINP',
      message = 'An address can be changed, not removed.',
      hint = 'A change that waits is taken back with the address that is in force.',
      column = case when v_is_email then 'email' else 'phone' end;
  end if;
  -- The table's own rules for an address, before anything is sent there.
  begin
    update app_public.users p
    set
      email = case when v_is_email then v_address else p.email end,
      phone = case when v_is_email then p.phone else v_address end
    where p.id = u.id;
    raise exception using errcode = 'HWOK0';
  exception
    when sqlstate 'HWOK0' then null;
    -- Whether it is taken shows when it is proven: asking must not tell.
    when unique_violation then null;
  end;
  perform app_private.limit_proofs(u.id, purpose, v_address);
  perform app_private.request_proof(u.id, purpose, v_address);
  perform app_private.log_security_event(
    'address_change_requested', u.id, app_public.current_session_id(), app_private.request_client()
  );
  -- The mailbox is told of both; the phone only where there is no mailbox, or it is the one to go.
  perform app_private.send_notice(
    u.id,
    case when v_is_email then 'email_change_requested' else 'phone_change_requested' end,
    o.address
  )
  from (
    select u.email::text where u.email is not null
    union all
    select u.phone where u.phone is not null and (u.email is null or not v_is_email)
  ) as o(address);
end;
$$;

create or replace function app_private.limit_proofs(
  user_id int, purpose app_private.user_token_purpose, target text
) returns void
language plpgsql volatile
as $$
declare
  v_factor double precision = app_private.request_factor();
  v_resend_at timestamptz;
  v_wait int;
  v_reason text = 'The code before this one was asked for less than 60 seconds ago.';
begin
  select t.created_at + interval '60 seconds' / v_factor into v_resend_at
  from app_private.user_tokens t
  where t.user_id = limit_proofs.user_id
    and t.purpose = limit_proofs.purpose
    and t.purpose = 'phone_verification'
    and t.used_at is null;
  v_wait := greatest(0, ceil(extract(epoch from v_resend_at - now())))::int;
  if v_wait = 0 then
    v_reason := 'Too many links or codes were asked for.';
    v_wait := app_private.count_proof(
      'verification ' || app_private.identifier_key(target), app_private.request_client(), v_factor
    );
  end if;
  if v_wait > 0 then
    raise exception using
      errcode = 'HWLIM',
      message = format('%s Try again in %s seconds.', v_reason, v_wait),
      detail = v_wait::text;
  end if;
end;
$$;

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
    select * into v_notification from app_public.notifications n where n.id = cancel_notification.id;
    if not found then
      raise exception using errcode = 'HWNFD', message = 'There is no such notification.';
    end if;
    raise exception using
      errcode = 'HWCFL',
      message = case
        when v_notification.status = 'canceled' then 'This notification is canceled already.'
        else 'This notification is finished.'
      end,
      hint = 'Only what is scheduled or being sent can be canceled.';
  end if;
  if app_private.cancel_deliveries(id) is distinct from false then
    perform app_private.schedule_cancel(id, now());
  end if;
  select * into v_notification from app_public.notifications n where n.id = cancel_notification.id;
  return v_notification;
end;
$$;

-- Quiet hours are those of the user that a push is for, by their clock, now.

create or replace function app_private.judge_again(notification_ids int[], delivery_ids bigint[]) returns void
language plpgsql volatile
as $$
declare
  v_batch app_private.delivery_batches;
begin
  for v_batch in
    update app_private.delivery_batches b
    set run_at = now()
    where b.id in (
      select o.id from app_private.delivery_batches o
      where o.notification_id = any (judge_again.notification_ids)
        and o.delivery_ids && judge_again.delivery_ids
        and o.worker_id is null
        and o.circuit_breaker_id is null
      -- One that is being claimed has judged these as not quiet, or waits for us.
      for update skip locked
    )
    returning b.*
  loop
    perform app_private.add_batch_job(v_batch);
  end loop;
end;
$$;
comment on function app_private.judge_again(int[], bigint[]) is
  'Has deliveries that wait for the end of quiet hours judged now: claim_batch() sends them, or puts them off anew.';

create or replace function app_private.release_quiet(user_id int) returns void
language sql volatile
as $$
  select app_private.judge_again(array_agg(distinct d.notification_id), array_agg(d.id))
  from app_public.notification_deliveries d
  where d.user_id = release_quiet.user_id
    and d.status = 'queued'
    and d.error_code = 'QUIET_HOURS'
  having count(*) > 0;
$$;
comment on function app_private.release_quiet(int) is
  'Has all that waits for the end of a user''s quiet hours judged by those that they have now.';

create or replace function app_private.tg_quiet_hours__release() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.release_quiet(coalesce(new.user_id, old.user_id));
  return null;
end;
$$;

create or replace function app_private.tg_users__release_quiet() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- A claim that has judged by the old time zone is waited for.
  perform from app_public.quiet_hours q where q.user_id = new.id for update;
  if found then
    perform app_private.release_quiet(new.id);
  end if;
  return null;
end;
$$;
comment on function app_private.tg_users__release_quiet() is
  'Trigger: pushes that wait for the end of quiet hours are judged by the new time zone.';
drop trigger if exists _540_release_quiet on app_public.users;
create trigger _540_release_quiet
  after update of timezone on app_public.users
  for each row when (old.timezone is distinct from new.timezone)
  execute function app_private.tg_users__release_quiet();

create or replace function app_private.tg_device_tokens__move_deliveries() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_notification_ids int[];
  v_delivery_ids bigint[];
begin
  with
    found_delivery as materialized (
      select d.id, d.month, d.status = 'queued' and d.error_code = 'QUIET_HOURS' as is_quiet
      from app_public.notifications n
      join app_public.notification_deliveries d on d.notification_id = n.id and d.month = n.ledger_month
      where n.status = 'sending'
        and d.device_token_id = new.id
        and d.status in ('queued', 'retrying')
        and exists (
          select from app_public.notification_recipients r
          where r.notification_id = n.id and r.user_id = new.user_id
        )
      for update of d
    ),
    moved_delivery as (
      update app_public.notification_deliveries d
      set
        user_id = new.user_id,
        error_code = case when not coalesce(f.is_quiet, false) then d.error_code end,
        next_attempt_at = case when not coalesce(f.is_quiet, false) then d.next_attempt_at end
      from found_delivery f
      where d.id = f.id and d.month = f.month
      returning d.notification_id, d.id, f.is_quiet
    )
  select array_agg(distinct d.notification_id), array_agg(d.id)
  into v_notification_ids, v_delivery_ids
  from moved_delivery d where d.is_quiet;
  -- The quiet hours that they waited for were the former owner's.
  perform app_private.judge_again(v_notification_ids, v_delivery_ids);
  return null;
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
  v_unquiet_ids bigint[];
  v_next timestamptz;
begin
  has_more := false;
  -- Nobody waits for the disk here: what a crash takes with it is written again, because where it stopped is in the
  -- same transaction. What goes out is durable before: a claim waits for itself and all that was committed earlier.
  perform set_config('synchronous_commit', 'off', true);
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
    -- v_users comes by a subselect: of a list that it can see, the planner weighs each entry, in each statement.
    -- Fan-outs of a notification take turns: what is there already can be looked up, which is a third cheaper
    -- than `on conflict`.
    insert into app_public.notification_recipients (notification_id, user_id, read_at)
    select v_notification.id, u.id, case when v_notification.is_silent then now() end
    from app_public.users u
    where u.id = any ((select v_users)::int[])
      and u.deleted_at is null
      and u.id not in (
        select r.user_id from app_public.notification_recipients r
        where r.notification_id = v_notification.id and r.user_id = any ((select v_users)::int[])
      );

    with
      -- Devices of a closed account are disabled.
      device as materialized (
        select d.id, d.user_id, d.device_type
        from app_public.device_tokens d
        where d.user_id = any ((select v_users)::int[]) and d.disabled_at is null
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
        select d.id, d.status as before, d.error_code as reason, t.user_id
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
          error_code = null,
          next_attempt_at = case when m.reason is distinct from 'QUIET_HOURS' then d.next_attempt_at end
        from moved m
        where d.id = m.id and d.month = v_notification.ledger_month
        returning d.id, d.device_type, m.before, m.reason
      )
      select
        array_agg(d.id) filter (where d.before = 'skipped'),
        array_agg(d.device_type) filter (where d.before = 'skipped'),
        array_agg(d.id) filter (where d.reason = 'QUIET_HOURS')
      -- The others are in a batch already; but not until the former owner's quiet hours end.
      into v_revived_ids, v_revived_types, v_unquiet_ids
      from moved_delivery d;
      perform app_private.judge_again(array[v_notification.id], v_unquiet_ids);
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
