--! Previous: sha1:7fa45cd56998f1d9f63a6253edd10790d0156e19
--! Hash: sha1:3cca41bfc0e7ee78a90fa98c487cbec736d65f7c
--! Message: unlinking

-- Taking an identity away: by its user, or by the provider on its user's wish.

create or replace function app_private.has_other_way_in(credential app_public.oauth2_credentials)
returns boolean
language sql stable
as $$
  select exists (
      select from app_private.user_secrets s
      where s.user_id = credential.user_id and s.password_hash is not null
    )
    or exists (
      select from app_public.oauth2_credentials c
      where c.user_id = credential.user_id and c.id <> credential.id and c.subject is not null
    );
$$;
comment on function app_private.has_other_way_in(app_public.oauth2_credentials) is
  'True where its user can log in without this identity.';

create or replace function app_private.remove_identity(
  credential app_public.oauth2_credentials, session_id int, client jsonb
) returns void
language sql volatile
as $$
  delete from app_public.oauth2_credentials c where c.id = credential.id;
  select app_private.log_security_event('identity_unlinked', credential.user_id, session_id, client);
  select app_private.send_notice(u.id, 'identity_unlinked', u.email)
  from app_public.users u where u.id = credential.user_id and u.email is not null;
$$;
comment on function app_private.remove_identity(app_public.oauth2_credentials, int, jsonb) is
  'Removes an identity with its provider''s tokens, and mails a notice.';

create or replace function app_public.unlink_oauth2_credential(id int) returns app_public.oauth2_credentials
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_credential app_public.oauth2_credentials;
begin
  -- Two at once take turns, so that they cannot both be the last but one.
  perform from app_public.users u where u.id = app_public.current_user_id() for update;
  select * into v_credential
  from app_public.oauth2_credentials c
  where c.id = unlink_oauth2_credential.id and c.user_id = app_public.current_user_id();
  if not found then
    raise exception using errcode = 'HWNFD', message = 'There is no such credential.';
  end if;
  if not app_private.has_other_way_in(v_credential) then
    raise exception using
      errcode = 'HWCFL',
      message = 'This is the only way to log in to this account.',
      hint = 'Set a password with requestPasswordReset, or link another account first.';
  end if;
  perform app_private.remove_identity(
    v_credential, app_public.current_session_id(), app_private.request_client()
  );
  return v_credential;
end;
$$;
comment on function app_public.unlink_oauth2_credential(int) is
  'Takes an account elsewhere away from the user who asks; the last way to log in stays.';
grant execute on function app_public.unlink_oauth2_credential(int) to :DATABASE_USER;

create table app_private.data_deletions (
  confirmation_code_hash bytea not null,
  created_at timestamptz not null default now(),
  constraint data_deletions_pkey primary key (confirmation_code_hash),
  constraint data_deletions_confirmation_code_hash_length check (octet_length(confirmation_code_hash) = 32)
);
alter table app_private.data_deletions enable row level security;
create index data_deletions_created_at_idx on app_private.data_deletions (created_at);
comment on table app_private.data_deletions is
  'Deletions that a provider asked for, by the SHA-256 of the code that its user was given. No policy, no grant: definer functions only.';

create or replace function app_private.delete_by_provider(
  provider app_public.oauth2_provider, subject text, confirmation_code_hash bytea, client jsonb
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_credential app_public.oauth2_credentials;
begin
  insert into app_private.data_deletions (confirmation_code_hash)
  values (delete_by_provider.confirmation_code_hash);
  select * into v_credential
  from app_public.oauth2_credentials c
  where c.provider = delete_by_provider.provider and c.subject = delete_by_provider.subject;
  if not found then
    return;
  end if;
  perform from app_public.users u where u.id = v_credential.user_id for update;
  if app_private.has_other_way_in(v_credential) then
    perform app_private.remove_identity(v_credential, null, client);
  else
    perform app_private.close_account(v_credential.user_id, null, client);
  end if;
end;
$$;
comment on function app_private.delete_by_provider(app_public.oauth2_provider, text, bytea, jsonb) is
  'A provider''s data-deletion callback: its identity goes, and the account with it where there is no other way in.';

create or replace function app_private.data_deletion(confirmation_code_hash bytea) returns timestamptz
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select d.created_at from app_private.data_deletions d
  where d.confirmation_code_hash = data_deletion.confirmation_code_hash;
$$;
comment on function app_private.data_deletion(bytea) is
  'When the deletion with this confirmation code (as SHA-256) was carried out; null where there is none.';

grant execute on function
  app_private.delete_by_provider(app_public.oauth2_provider, text, bytea, jsonb),
  app_private.data_deletion(bytea)
to :DATABASE_AUTHENTICATOR;
