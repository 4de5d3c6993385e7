--! Previous: sha1:51543a90a02c090aafe8cc963216f79cc70f8e90
--! Hash: sha1:7d349a512c9bd1c9947402692ae1f9cd8d6574a7
--! Message: sessions

-- One log-in on one device is a session; its refresh tokens form one line, each the parent of the next.

create table app_public.sessions (
  id int generated always as identity,
  user_id int not null,
  device_info text,
  ip_address inet,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '90 days',
  revoked_at timestamptz,
  revoked_reason text,
  constraint sessions_pkey primary key (id),
  constraint sessions_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint sessions_device_info_length check (length(device_info) <= 500),
  constraint sessions_revoked_for_a_reason check ((revoked_at is null) = (revoked_reason is null))
);
alter table app_public.sessions enable row level security;
create index sessions_user_id_idx on app_public.sessions (user_id);

create policy select_own on app_public.sessions for select to :DATABASE_USER
  using (
    user_id = (select app_public.current_user_id()) and revoked_at is null and expires_at > now()
  );
create policy select_operator on app_public.sessions for select to :DATABASE_OPERATOR
  using (true);

grant select on app_public.sessions to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because sessions begin and end by functions.

comment on table app_public.sessions is
  'One log-in on one device. A user sees their live ones, an operator all.';
comment on column app_public.sessions.device_info is 'What the client said of itself at log-in.';
comment on column app_public.sessions.ip_address is 'The address that logged in.';
comment on column app_public.sessions.last_used_at is 'When its tokens were last refreshed.';
comment on column app_public.sessions.expires_at is 'Its absolute end, 90 days after log-in.';
comment on column app_public.sessions.revoked_at is 'When it was ended; its access tokens are refused from then on.';
comment on column app_public.sessions.revoked_reason is
  'log_out, refresh_token_reuse, user_deleted, operator_revoked, … for people who look into a case.';
comment on constraint sessions_device_info_length on app_public.sessions is
  'Device info has at most 500 characters.';

create or replace function app_public.sessions_is_current(session app_public.sessions) returns boolean
language sql stable parallel safe
as $$
  select session.id is not distinct from app_public.current_session_id();
$$;
comment on function app_public.sessions_is_current(app_public.sessions) is
  E'@notNull\nTrue for the session that asks.';
grant execute on function app_public.sessions_is_current(app_public.sessions) to :DATABASE_USER;

create table app_private.refresh_tokens (
  id bigint generated always as identity,
  session_id int not null,
  generation int not null default 1,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  rotated_at timestamptz,
  successor_sealed bytea,
  constraint refresh_tokens_pkey primary key (id),
  constraint refresh_tokens_session_id_fkey foreign key (session_id)
    references app_public.sessions on delete cascade,
  constraint refresh_tokens_token_hash_unique unique (token_hash),
  constraint refresh_tokens_token_hash_length check (octet_length(token_hash) = 32),
  constraint refresh_tokens_generation_unique unique (session_id, generation)
);
alter table app_private.refresh_tokens enable row level security;
comment on table app_private.refresh_tokens is
  'Refresh tokens (RFC 6749, rotated as RFC 9700 asks), SHA-256 only. No policy, no grant: definer functions only.';
comment on column app_private.refresh_tokens.generation is 'Counts up with each rotation; the highest is the current one.';
comment on column app_private.refresh_tokens.successor_sealed is
  'The next token, encrypted with a key derived from this one: who presents this one again within the grace gets the same next one, and nobody else can read it.';

create or replace function app_private.revoke_sessions(session_ids int[], reason text) returns void
language sql volatile
as $$
  update app_public.sessions
  set revoked_at = now(), revoked_reason = reason
  where id = any (session_ids) and revoked_at is null;
$$;
comment on function app_private.revoke_sessions(int[], text) is
  'Ends sessions at once; those that have ended already keep their reason.';

-- The API calls this at the start of each transaction of a signed-in user, in the same round trip.
create or replace function app_private.verify_session(session_id int, user_id int, role text)
returns void
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not exists (
    select from app_public.sessions s
    join app_public.users u on u.id = s.user_id
    where s.id = verify_session.session_id
      and s.user_id = verify_session.user_id
      and s.revoked_at is null
      and s.expires_at > now()
      and u.deleted_at is null
      and (
        verify_session.role <> ':DATABASE_OPERATOR'
        or exists (select from app_private.operators o where o.user_id = verify_session.user_id)
      )
  ) then
    raise exception using
      errcode = 'HWREV',
      message = 'This session has ended.',
      hint = 'Log in again.';
  end if;
end;
$$;
comment on function app_private.verify_session(int, int, text) is
  'Raises HWREV (SESSION_REVOKED) unless the session lives, its user too, and the role is still theirs.';
grant execute on function app_private.verify_session(int, int, text) to :DATABASE_AUTHENTICATOR;

create or replace function app_private.access_token_claims(
  session_id int, issuer text, audience text
) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'iss', issuer,
    'aud', audience,
    'iat', floor(extract(epoch from now()))::bigint,
    'exp', floor(extract(epoch from now() + interval '15 minutes'))::bigint,
    'sub', s.user_id::text,
    'role', case when o.user_id is null then ':DATABASE_USER' else ':DATABASE_OPERATOR' end,
    'session_id', s.id,
    'user_id', s.user_id
  )
  from app_public.sessions s
  left join app_private.operators o on o.user_id = s.user_id
  where s.id = session_id;
$$;
comment on function app_private.access_token_claims(int, text, text) is
  'The claims of an access token (RFC 7519), which Node signs as they are. 15 minutes.';

create or replace function app_private.create_session(
  user_id int,
  client jsonb,
  refresh_token_hash bytea,
  issuer text,
  audience text
) returns jsonb
language plpgsql volatile
as $$
declare
  v_session app_public.sessions;
begin
  insert into app_public.sessions (user_id, device_info, ip_address)
  values (create_session.user_id, client ->> 'device_info', (client ->> 'ip')::inet)
  returning * into v_session;

  -- At most 20 live ones: the one that was used longest ago goes.
  perform app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = create_session.user_id and s.revoked_at is null and s.expires_at > now()
      order by s.id = v_session.id desc, s.last_used_at desc, s.id desc
      offset 20
    ),
    'too_many_sessions'
  );

  insert into app_private.refresh_tokens (session_id, token_hash, expires_at)
  values (v_session.id, refresh_token_hash, now() + interval '30 days');

  update app_public.users u set last_logged_in = now() where u.id = create_session.user_id;

  return app_private.access_token_claims(v_session.id, issuer, audience);
end;
$$;
comment on function app_private.create_session(int, jsonb, bytea, text, text) is
  'Opens a session with its first refresh token (given as SHA-256) and returns its access token''s claims. client: {ip, user_agent, device_info}.';

create or replace function app_private.refresh_session(
  token_hash bytea,
  successor_hash bytea,
  successor_sealed bytea,
  issuer text,
  audience text,
  client jsonb,
  factor double precision,
  out outcome text,
  out current_sealed bytea,
  out claims jsonb,
  out retry_after int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_presented app_private.refresh_tokens;
  v_session app_public.sessions;
  v_current app_private.refresh_tokens;
begin
  select * into v_presented
  from app_private.refresh_tokens t where t.token_hash = refresh_session.token_hash;
  if not found then
    outcome := 'unknown';
    return;
  end if;

  retry_after := app_private.count_attempt('refresh', v_presented.session_id::text, factor);
  if retry_after > 0 then
    outcome := 'limited';
    return;
  end if;

  -- Refreshes of one session take turns; each reads what the one before it has committed.
  select * into v_session
  from app_public.sessions s where s.id = v_presented.session_id for update;
  if v_session.revoked_at is not null then
    outcome := 'revoked';
    return;
  end if;
  if v_session.expires_at <= now()
    or exists (select from app_public.users u where u.id = v_session.user_id and u.deleted_at is not null)
  then
    outcome := 'expired';
    return;
  end if;

  select * into v_presented from app_private.refresh_tokens t where t.id = v_presented.id;
  select * into v_current
  from app_private.refresh_tokens t
  where t.session_id = v_session.id order by t.generation desc limit 1;

  if v_presented.id = v_current.id then
    if v_current.expires_at <= now() then
      outcome := 'expired';
      return;
    end if;
    insert into app_private.refresh_tokens (session_id, generation, token_hash, expires_at)
    values (
      v_session.id,
      v_current.generation + 1,
      successor_hash,
      least(now() + interval '30 days', v_session.expires_at)
    );
    update app_private.refresh_tokens t
    set rotated_at = clock_timestamp(), successor_sealed = refresh_session.successor_sealed
    where t.id = v_current.id;
    -- What an older parent could still have opened is of no use any more.
    update app_private.refresh_tokens t
    set successor_sealed = null
    where t.session_id = v_session.id
      and t.generation < v_current.generation
      and t.successor_sealed is not null;
    update app_public.sessions s set last_used_at = now() where s.id = v_session.id;
    outcome := 'rotated';
  elsif v_presented.generation = v_current.generation - 1
    and clock_timestamp() < v_presented.rotated_at + interval '10 seconds'
  then
    -- The answer was lost, or two tabs refreshed at once: the same current token again.
    outcome := 'repeated';
    current_sealed := v_presented.successor_sealed;
  else
    perform app_private.revoke_sessions(array[v_session.id], 'refresh_token_reuse');
    perform app_private.log_security_event(
      'refresh_token_reused', v_session.user_id, v_session.id, client
    );
    outcome := 'reused';
    return;
  end if;

  claims := app_private.access_token_claims(v_session.id, issuer, audience);
end;
$$;
comment on function app_private.refresh_session(
  bytea, bytea, bytea, text, text, jsonb, double precision
) is
  'Rotates a refresh token. outcome: rotated | repeated (direct parent within 10 s: current_sealed holds the current token) | reused (session revoked; commit it) | revoked | expired | unknown | limited (retry_after: seconds). Never raises for a bad token, because a revocation has to commit.';
grant execute on function app_private.refresh_session(
  bytea, bytea, bytea, text, text, jsonb, double precision
)
  to :DATABASE_AUTHENTICATOR;
