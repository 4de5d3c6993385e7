--! Previous: sha1:aa411b29b3a02f1ee9b777ba8098846a7e2c0e5f
--! Hash: sha1:7bcd576a17427b263ca780a3c686d703806528e3
--! Message: request-ids-in-jobs

-- Which request caused a job: its id, a setting of the request's own transaction, goes into the payload of what the
-- request queues, and so into the worker's log.

create or replace function app_private.job_payload(payload json) returns json
language sql stable
as $$
  select case
    when coalesce(current_setting('request.id', true), '') = '' then payload
    else (payload::jsonb || jsonb_build_object('requestId', current_setting('request.id')))::json
  end;
$$;
comment on function app_private.job_payload(json) is
  'The payload of a job, with the requestId of the request that queues it, where there is one. Tasks do not look at it; the log does.';

create or replace function app_private.schedule_fan_out(
  notification_id int, run_at timestamptz, priority int default 0
) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'fan_out_notification',
    app_private.job_payload(json_build_object('notificationId', schedule_fan_out.notification_id)),
    run_at := schedule_fan_out.run_at,
    priority := schedule_fan_out.priority,
    job_key := 'fan_out_notification:' || schedule_fan_out.notification_id,
    max_attempts := 1000
  );
end;
$$;

create or replace function app_private.request_proof(
  user_id int, purpose app_private.user_token_purpose, target text
) returns void
language plpgsql volatile
as $$
begin
  -- Until the task has made the real one, the hash is of nothing: an older link is void at once.
  insert into app_private.user_tokens as t (user_id, purpose, target, token_hash, expires_at)
  values (
    request_proof.user_id,
    request_proof.purpose,
    request_proof.target,
    public.gen_random_bytes(32),
    now() + app_private.proof_lifetime(request_proof.purpose)
  )
  on conflict on constraint user_tokens_pkey do update
  set
    target = excluded.target,
    token_hash = excluded.token_hash,
    attempts = 0,
    created_at = now(),
    expires_at = excluded.expires_at,
    used_at = null;
  perform graphile_worker.add_job(
    'users__send_proof',
    app_private.job_payload(
      json_build_object('userId', request_proof.user_id, 'purpose', request_proof.purpose)
    ),
    job_key := format('users__send_proof:%s:%s', request_proof.purpose, request_proof.user_id),
    max_attempts := 8
  );
end;
$$;

create or replace function app_private.send_notice(user_id int, notice text, recipient text) returns void
language plpgsql volatile
as $$
begin
  perform graphile_worker.add_job(
    'users__send_notice',
    app_private.job_payload(
      json_build_object('userId', user_id, 'notice', notice, 'to', recipient)
    ),
    max_attempts := 8
  );
end;
$$;

create or replace function app_private.request_password_reset(
  identifier text, client jsonb, factor double precision
) returns int
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_wait int = app_private.count_proof(identifier, client, factor);
begin
  if v_wait = 0 then
    -- Whether somebody has this identifier is looked up by the worker: here it would show in the time.
    perform graphile_worker.add_job(
      'users__start_password_reset',
      app_private.job_payload(json_build_object('identifier', identifier, 'client', client)),
      max_attempts := 8
    );
  end if;
  return v_wait;
end;
$$;
