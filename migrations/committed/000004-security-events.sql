--! Previous: sha1:39bca23472c32554a5329570777f7819f3378862
--! Hash: sha1:51543a90a02c090aafe8cc963216f79cc70f8e90
--! Message: security events

-- What happened to an account, for its user and for operators. No secret is ever part of it.

create type app_public.security_event_kind as enum (
  'signed_up', 'logged_in', 'log_in_failed', 'logged_out', 'session_revoked', 'refresh_token_reused',
  'password_changed', 'password_reset_requested', 'password_reset', 'email_verified', 'phone_verified',
  'address_change_requested', 'account_deleted', 'data_exported'
);
comment on type app_public.security_event_kind is 'What happened to an account.';

create table app_private.security_events (
  id bigint generated always as identity,
  user_id int,
  session_id int,
  kind app_public.security_event_kind not null,
  ip_address inet,
  user_agent text,
  created_at timestamptz not null default now(),
  constraint security_events_pkey primary key (id),
  constraint security_events_user_id_fkey foreign key (user_id)
    references app_public.users on delete set null,
  constraint security_events_user_agent_length check (length(user_agent) <= 500)
);
alter table app_private.security_events enable row level security;
create index security_events_user_id_idx on app_private.security_events (user_id, id);
create index security_events_created_at_idx on app_private.security_events (created_at);
comment on table app_private.security_events is
  'The security log, 90 days. No policy, no grant: read by users_security_events() and security_events().';

create type app_public.security_event as (
  id bigint, user_id int, session_id int, kind app_public.security_event_kind, ip_address inet,
  user_agent text, created_at timestamptz
);
comment on type app_public.security_event is
  'An entry of the security log: what happened to an account, when, and from where.';

create or replace function app_private.log_security_event(
  kind app_public.security_event_kind, user_id int, session_id int, client jsonb
) returns void
language sql volatile
as $$
  insert into app_private.security_events (kind, user_id, session_id, ip_address, user_agent)
  values (
    log_security_event.kind,
    log_security_event.user_id,
    log_security_event.session_id,
    (client ->> 'ip')::inet,
    left(client ->> 'user_agent', 500)
  );
$$;
comment on function app_private.log_security_event(app_public.security_event_kind, int, int, jsonb) is
  'Writes an entry. client: {ip, user_agent} of the request.';

create or replace function app_private.request_client() returns jsonb
language sql stable parallel safe
as $$
  select jsonb_build_object(
    'ip', nullif(current_setting('request.ip', true), ''),
    'user_agent', nullif(current_setting('request.user_agent', true), '')
  );
$$;
comment on function app_private.request_client() is 'Where the request of this transaction came from.';

-- In a definer function current_user is the owner: the role of the request is the one that was set.
create or replace function app_hidden.request_is_by_operator() returns boolean
language sql stable parallel safe
as $$
  select current_setting('role', true) = ':DATABASE_OPERATOR';
$$;
comment on function app_hidden.request_is_by_operator() is
  'True where the request runs as an operator, inside definer functions as well.';

create or replace function app_public.users_security_events(u app_public.users)
returns setof app_public.security_event
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select e.id, e.user_id, e.session_id, e.kind, e.ip_address, e.user_agent, e.created_at
  from app_private.security_events e
  where e.user_id = u.id
    and (u.id = app_public.current_user_id() or app_hidden.request_is_by_operator())
  order by e.id desc;
$$;
comment on function app_public.users_security_events(app_public.users) is
  'What happened to this account in the last 90 days, newest first: one''s own, or for an operator anybody''s.';

create or replace function app_public.security_events() returns setof app_public.security_event
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select e.id, e.user_id, e.session_id, e.kind, e.ip_address, e.user_agent, e.created_at
  from app_private.security_events e
  where app_hidden.request_is_by_operator()
  order by e.id desc;
$$;
comment on function app_public.security_events() is
  'The security log of all accounts, newest first; for operators.';

grant execute on function app_hidden.request_is_by_operator() to :DATABASE_USER;
grant execute on function app_public.users_security_events(app_public.users) to :DATABASE_USER;
grant execute on function app_public.security_events() to :DATABASE_OPERATOR;
