--! Previous: sha1:fb8aa1217ebeba4c77f8427b835aad18819c914b
--! Hash: sha1:8512e4de9eb94f65962c8d801c13091c92ce47ac
--! Message: device tokens

-- The addresses of phones and browsers. A token belongs to who holds the phone now.

create type app_public.device_type as enum ('ios', 'android', 'web');
comment on type app_public.device_type is 'What a push has to be made for.';
create type app_public.device_token_kind as enum ('token', 'fid');
comment on type app_public.device_token_kind is
  'An FCM registration token, or a Firebase installation id, which FCM is moving to.';
create type app_public.device_disabled_reason as enum ('unregistered', 'logged_out', 'dead_address', 'user_deleted');
comment on type app_public.device_disabled_reason is 'Why nothing is sent to a device any more.';

create table app_public.device_tokens (
  id int generated always as identity,
  user_id int not null,
  session_id int,
  token text not null,
  kind app_public.device_token_kind not null default 'token',
  device_type app_public.device_type not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  disabled_at timestamptz,
  disabled_reason app_public.device_disabled_reason,
  constraint device_tokens_pkey primary key (id),
  constraint device_tokens_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint device_tokens_session_id_fkey foreign key (session_id)
    references app_public.sessions on delete set null,
  constraint device_tokens_token_unique unique (token),
  constraint device_tokens_token_format
    check (length(token) between 1 and 1024 and token !~ '[[:space:][:cntrl:]]'),
  constraint device_tokens_disabled_for_a_reason
    check ((disabled_at is null) = (disabled_reason is null))
);

alter table app_public.device_tokens enable row level security;

create index device_tokens_user_id_idx on app_public.device_tokens (user_id);
create index device_tokens_session_id_idx on app_public.device_tokens (session_id);

create policy select_own on app_public.device_tokens for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()) and disabled_at is null);
create policy select_operator on app_public.device_tokens for select to :DATABASE_OPERATOR
  using (true);

grant select on app_public.device_tokens to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because registering may take a token from who held
-- the phone before, and because the worker only marks dead ones: a row is never lost to the ledger.

create trigger _100_timestamps
  before insert or update on app_public.device_tokens
  for each row execute function app_private.tg__timestamps();

comment on table app_public.device_tokens is
  'A phone or browser that gets pushes. A user sees their live ones, an operator all.';
comment on column app_public.device_tokens.session_id is E'@behavior -*\nThe log-in that registered it; it ends with it.';
comment on column app_public.device_tokens.token is
  E'@behavior -*\nFCM registration token or installation id: an address, shown to nobody.';
comment on column app_public.device_tokens.last_seen_at is
  'When the device last registered; FCM calls one stale after 270 days without.';
comment on column app_public.device_tokens.disabled_at is 'Since when nothing is sent there.';
comment on constraint device_tokens_token_format on app_public.device_tokens is
  'A device token has 1 to 1,024 characters and no blanks.';

create or replace function app_public.register_device(token text, device_type app_public.device_type)
returns app_public.device_tokens
language sql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into app_public.device_tokens as d (user_id, session_id, token, device_type)
  values (app_public.current_user_id(), app_public.current_session_id(), token, device_type)
  on conflict on constraint device_tokens_token_unique do update
  set
    user_id = excluded.user_id,
    session_id = excluded.session_id,
    device_type = excluded.device_type,
    last_seen_at = now(),
    disabled_at = null,
    disabled_reason = null
  returning d.*;
$$;
comment on function app_public.register_device(text, app_public.device_type) is
  'To be called at each launch of the app: this device gets the pushes of the user who asks, and of nobody else.';

create or replace function app_public.unregister_device(token text)
returns app_public.device_tokens
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_device app_public.device_tokens;
begin
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'unregistered'
  where d.token = unregister_device.token
    and d.user_id = app_public.current_user_id()
    and d.disabled_at is null
  returning d.* into v_device;
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such device.';
  end if;
  return v_device;
end;
$$;
comment on function app_public.unregister_device(text) is
  'This device of the user who asks gets no more pushes. NOT_FOUND where it is not theirs.';

grant execute on function
  app_public.register_device(text, app_public.device_type), app_public.unregister_device(text)
to :DATABASE_USER;

-- A session that ends takes its device along; a closed account takes all.
create or replace function app_private.tg_sessions__disable_devices() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'logged_out'
  where d.session_id = new.id and d.user_id = new.user_id and d.disabled_at is null;
  return null;
end;
$$;
comment on function app_private.tg_sessions__disable_devices() is
  'Trigger: who has logged out on a phone gets no more pushes there.';
create trigger _500_disable_devices
  after update of revoked_at on app_public.sessions
  for each row when (old.revoked_at is null and new.revoked_at is not null)
  execute function app_private.tg_sessions__disable_devices();

create or replace function app_private.tg_users__disable_devices() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  update app_public.device_tokens d
  set disabled_at = now(), disabled_reason = 'user_deleted'
  where d.user_id = new.id and d.disabled_at is null;
  return null;
end;
$$;
comment on function app_private.tg_users__disable_devices() is
  'Trigger: a closed account gets no more pushes.';
create trigger _400_disable_devices
  after update of deleted_at on app_public.users
  for each row when (old.deleted_at is null and new.deleted_at is not null)
  execute function app_private.tg_users__disable_devices();
