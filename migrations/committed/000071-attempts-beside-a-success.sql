--! Previous: sha1:e3397b0cb5be4a66173d1f121d0d9d8e556fa305
--! Hash: sha1:ba43f24a8fe6098f4f44ba32779ac5619d9223a0
--! Message: attempts beside a success

-- An attempt that is counted while another one's success forgets the row is counted as the first.

create or replace function app_private.count_attempt(
  kind app_private.attempt_kind, target text, factor double precision
) returns int
language plpgsql volatile
as $$
declare
  v_limit record;
  v_key bytea = sha256(convert_to(target, 'utf8'));
  v_attempt app_private.attempts;
  v_now timestamptz;
begin
  v_limit := app_private.attempt_limit(count_attempt.kind, count_attempt.factor);
  insert into app_private.attempts (kind, key, count) values (count_attempt.kind, v_key, 0)
  on conflict do nothing;
  select * into v_attempt
  from app_private.attempts a where a.kind = count_attempt.kind and a.key = v_key for update;
  v_now := clock_timestamp();

  if v_attempt.blocked_until > v_now then
    -- A refused attempt does not lengthen the wait: nobody can lock another out for good.
    return ceil(extract(epoch from v_attempt.blocked_until - v_now))::int;
  end if;
  if v_attempt.last_attempt_at < v_now - v_limit.period then
    v_attempt.count := 0;
  end if;
  -- A success at the same moment may have forgotten the row.
  v_attempt.count := coalesce(v_attempt.count, 0) + 1;
  update app_private.attempts a
  set
    count = v_attempt.count,
    last_attempt_at = v_now,
    blocked_until = case
      when v_attempt.count >= v_limit.allowed then
        -- A tenth of the period, then twice as long each time, at most the whole period.
        v_now + v_limit.period * least(1, 0.1 * 2 ^ least(10, v_attempt.count - v_limit.allowed))
    end
  where a.kind = count_attempt.kind and a.key = v_key;
  return 0;
end;
$$;
