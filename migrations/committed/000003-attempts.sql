--! Previous: sha1:d2be03fe6846aa970581de814cd04ab2d166cc54
--! Hash: sha1:39bca23472c32554a5329570777f7819f3378862
--! Message: attempts

-- How often something was tried. Counted here, so that every process counts together, and in a
-- transaction of its own, so that it stands although the attempt fails.

create type app_private.attempt_kind as enum (
  'log_in', 'log_in_by_ip', 'sign_up_by_ip', 'refresh', 'proof', 'proof_by_ip', 'code', 'reauthentication'
);

create table app_private.attempts (
  kind app_private.attempt_kind not null,
  key bytea not null,
  count int not null default 1,
  last_attempt_at timestamptz not null default now(),
  blocked_until timestamptz,
  constraint attempts_pkey primary key (kind, key),
  constraint attempts_key_length check (octet_length(key) = 32)
);
alter table app_private.attempts enable row level security;
create index attempts_last_attempt_at_idx on app_private.attempts (last_attempt_at);
comment on table app_private.attempts is
  'Attempts by kind and by the SHA-256 of whom they concern. No policy, no grant: definer functions only.';
comment on column app_private.attempts.count is 'Attempts since the last quiet period.';
comment on column app_private.attempts.blocked_until is 'When the next attempt is let in; each one more than allowed waits twice as long.';

-- The limits in one place (docs/accounts.md). factor: RATE_LIMIT_FACTOR, for load tests and imports.
create or replace function app_private.attempt_limit(
  kind app_private.attempt_kind, factor double precision, out allowed int, out period interval
)
language sql immutable parallel safe
as $$
  select greatest(1, round(l.allowed * factor))::int, l.period
  from (
    values
      ('log_in'::app_private.attempt_kind, 10, interval '5 minutes'),
      ('log_in_by_ip', 100, interval '5 minutes'),
      ('sign_up_by_ip', 10, interval '1 hour'),
      ('refresh', 30, interval '1 minute'),
      ('proof', 3, interval '1 hour'),
      ('proof_by_ip', 10, interval '1 hour'),
      ('code', 5, interval '10 minutes'),
      ('reauthentication', 10, interval '5 minutes')
  ) as l(kind, allowed, period)
  where l.kind = attempt_limit.kind;
$$;
comment on function app_private.attempt_limit(app_private.attempt_kind, double precision) is
  'How many attempts of a kind are let in before they have to wait, and the longest wait.';

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
  v_attempt.count := v_attempt.count + 1;
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
comment on function app_private.count_attempt(app_private.attempt_kind, text, double precision) is
  'Counts an attempt; 0 where it is let in, else the seconds until the next one is. Attempts at once take turns.';

create or replace function app_private.forget_attempts(kind app_private.attempt_kind, target text)
returns void
language sql volatile
as $$
  delete from app_private.attempts a
  where a.kind = forget_attempts.kind and a.key = sha256(convert_to(target, 'utf8'));
$$;
comment on function app_private.forget_attempts(app_private.attempt_kind, text) is
  'After a success: the next mistakes are counted from the beginning.';
