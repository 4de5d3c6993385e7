--! Previous: sha1:6e3324c2d6ef19710dbcbe934c9508f75c6d670c
--! Hash: sha1:1b8579da90297fd8b5db369b6996c750b969e9eb
--! Message: identities

-- Who somebody is that another provider vouches for: the rules of signing in with it and of linking.

create type app_private.identity as (
  provider app_public.oauth2_provider,
  subject text,
  email text,
  email_verified boolean,
  first_name text,
  last_name text,
  picture text,
  access_token_encrypted bytea,
  refresh_token_encrypted bytea,
  token_expiry timestamptz
);
comment on type app_private.identity is
  'What a provider said of a person. Its tokens are encrypted in Node (CREDENTIALS_KEY) before they come here.';

create or replace function app_private.create_user_of(i app_private.identity) returns app_public.users
language plpgsql volatile
as $$
declare
  v_email citext = app_hidden.normalize_email(i.email);
  v_first_name text = coalesce(left(nullif(btrim(i.first_name), ''), 100), initcap(i.provider::text));
  v_picture text = case
    when length(i.picture) <= 2048 and i.picture ~ '^https?://[^[:space:]]+$' then i.picture
  end;
  v_user app_public.users;
begin
  begin
    insert into app_public.users (first_name, last_name, email, email_verified, picture)
    values (
      v_first_name,
      left(nullif(btrim(i.last_name), ''), 100),
      v_email,
      v_email is not null and i.email_verified,
      v_picture
    )
    returning * into v_user;
  exception
    -- An address or a name that we do not take must not keep its owner out.
    when check_violation then
      insert into app_public.users (first_name)
      values (initcap(i.provider::text))
      returning * into v_user;
  end;
  if v_user.email is not null and not v_user.email_verified then
    perform app_private.request_proof(v_user.id, 'email_verification', v_user.email);
  end if;
  return v_user;
end;
$$;
comment on function app_private.create_user_of(app_private.identity) is
  'A new user by what a provider said of them; an address that it did not verify gets a proof.';

-- Whoever signed up with an address that is not theirs waits for its owner to come (pre-hijacking).
create or replace function app_private.evict(u app_public.users) returns void
language sql volatile
as $$
  -- The password first: a log-in that is under way holds its row, and its session is seen below.
  update app_private.user_secrets s
  set password_hash = null, password_changed_at = now() where s.user_id = u.id;
  select app_private.revoke_sessions(
    array(select s.id from app_public.sessions s where s.user_id = u.id), 'address_proven_by_its_owner'
  );
  delete from app_public.oauth2_credentials c where c.user_id = u.id;
  delete from app_private.user_tokens t where t.user_id = u.id;
  update app_public.users o set phone = null where o.id = u.id;
$$;
comment on function app_private.evict(app_public.users) is
  'Takes every way into an account that nobody has proven: password, sessions, identities, pending proofs, phone.';

create or replace function app_private.link_identity(i app_private.identity, user_id int) returns int
language plpgsql volatile
as $$
declare
  v_id int;
begin
  insert into app_public.oauth2_credentials as c (user_id, provider, subject, email, token_expiry)
  values (
    link_identity.user_id, i.provider, i.subject, app_hidden.normalize_email(i.email), i.token_expiry
  )
  on conflict on constraint oauth2_credentials_subject_unique do update
  set email = excluded.email, token_expiry = excluded.token_expiry
  where c.user_id = link_identity.user_id
  returning c.id into strict v_id;
  insert into app_private.oauth2_tokens as t (
    oauth2_credential_id, access_token_encrypted, refresh_token_encrypted
  )
  values (v_id, i.access_token_encrypted, i.refresh_token_encrypted)
  on conflict on constraint oauth2_tokens_pkey do update
  set
    access_token_encrypted = coalesce(excluded.access_token_encrypted, t.access_token_encrypted),
    -- A provider gives a refresh token once, and none with the later sign-ins.
    refresh_token_encrypted = coalesce(excluded.refresh_token_encrypted, t.refresh_token_encrypted);
  return v_id;
end;
$$;
comment on function app_private.link_identity(app_private.identity, int) is
  'Makes an identity one of the user''s, or brings it up to date; returns the credential''s id.';

create or replace function app_private.adopt_imported_identity(i app_private.identity) returns void
language sql volatile
as $$
  update app_public.oauth2_credentials c
  set subject = i.subject
  where c.id = (
      select min(o.id) from app_public.oauth2_credentials o
      where o.provider = i.provider and o.subject is null and o.email = app_hidden.normalize_email(i.email)
      having count(*) = 1
    )
    and i.email_verified
    and not exists (
      select from app_public.oauth2_credentials o
      where o.provider = i.provider and o.subject = i.subject
    );
$$;
comment on function app_private.adopt_imported_identity(app_private.identity) is
  'A row of the template has no subject: it gets that of the first who signs in with its address, verified by the same provider.';

create or replace function app_private.owner_of(i app_private.identity) returns app_public.users
language plpgsql volatile
as $$
declare
  v_user app_public.users;
begin
  -- Locked, and then read again: an eviction or a deletion at the same moment comes first or after.
  perform from app_public.users u
  join app_public.oauth2_credentials c on c.user_id = u.id
  where c.provider = i.provider and c.subject = i.subject
  for update of u;
  select u.* into v_user
  from app_public.users u
  join app_public.oauth2_credentials c on c.user_id = u.id
  where c.provider = i.provider and c.subject = i.subject and u.deleted_at is null;
  return v_user;
end;
$$;
comment on function app_private.owner_of(app_private.identity) is
  'The living user whose identity this is, locked; null where it is nobody''s.';

create or replace function app_private.resolve_identity(
  i app_private.identity, signed_in_user_id int, client jsonb, out outcome text, out user_id int
)
language plpgsql volatile
as $$
declare
  v_email citext = app_hidden.normalize_email(i.email);
  v_user app_public.users;
begin
  -- The same person in two tabs takes turns.
  perform pg_advisory_xact_lock(hashtextextended(i.provider || ' ' || i.subject, 0));
  perform app_private.adopt_imported_identity(i);
  v_user := app_private.owner_of(i);
  if v_user.id is not null then
    user_id := v_user.id;
    outcome := case when user_id <> signed_in_user_id then 'foreign' else 'known' end;
    if outcome = 'known' and i.email_verified then
      update app_public.users u set email_verified = true where u.id = v_user.id and u.email = v_email;
    end if;
    return;
  end if;

  if signed_in_user_id is not null then
    select u.id into strict user_id
    from app_public.users u where u.id = signed_in_user_id and u.deleted_at is null for update;
    outcome := 'linked';
    return;
  end if;

  select * into v_user from app_public.users u
  where u.email = v_email and u.deleted_at is null for update;
  if found and i.email_verified and not v_user.email_verified and v_user.phone_verified then
    -- Somebody who has proven a phone only typed this address in: it is their address no more.
    update app_public.users u set email = null where u.id = v_user.id;
    v_user := null;
  end if;
  if v_user.id is null then
    begin
      v_user := app_private.create_user_of(i);
      outcome := 'created';
    exception
      -- Somebody has signed up with this address at the same moment.
      when unique_violation then outcome := 'taken';
    end;
  elsif i.email_verified and not v_user.email_verified then
    perform app_private.evict(v_user);
    update app_public.users u set email_verified = true where u.id = v_user.id;
    outcome := 'linked';
  elsif i.email_verified then
    outcome := 'linked';
  else
    outcome := 'taken';
  end if;
  user_id := v_user.id;
end;
$$;
comment on function app_private.resolve_identity(app_private.identity, int, jsonb) is
  'Whose an identity is: known | linked (to the user who asks, or by an address that both sides verified) | created | taken (its address is another''s, who has to log in and link) | foreign (it is another user''s already).';

create or replace function app_private.sign_in_with_identity(
  identity jsonb,
  signed_in_user_id int,
  client jsonb,
  refresh_token_hash bytea,
  confirmation_required boolean,
  issuer text,
  audience text,
  out outcome text,
  out claims jsonb
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_identity app_private.identity = jsonb_populate_record(null::app_private.identity, identity);
  v_user app_public.users;
  v_user_id int;
begin
  select r.outcome, r.user_id into outcome, v_user_id
  from app_private.resolve_identity(v_identity, signed_in_user_id, client) r;
  if outcome = 'foreign' then
    return;
  end if;
  select * into v_user from app_public.users u where u.id = v_user_id;
  if outcome = 'taken' then
    if confirmation_required then
      -- The same answer as for a new address; who owns it is told.
      perform app_private.send_notice(v_user.id, 'sign_up_with_your_address', v_user.email)
      where v_user.email is not null;
      outcome := 'unverified';
    end if;
    return;
  end if;

  perform app_private.link_identity(v_identity, v_user.id);
  if outcome = 'linked' then
    perform app_private.log_security_event('identity_linked', v_user.id, null, client);
    perform app_private.send_notice(v_user.id, 'identity_linked', v_user.email)
    where v_user.email is not null;
  end if;
  if not confirmation_required
    or v_user.email_verified
    or v_user.phone_verified
    -- Without an address there is nothing to wait for.
    or (v_user.email is null and v_user.phone is null)
  then
    claims := app_private.create_session(v_user.id, client, refresh_token_hash, issuer, audience);
  end if;
  if claims is not null or outcome = 'created' then
    perform app_private.log_security_event(
      case when outcome = 'created' then 'signed_up' else 'logged_in' end::app_public.security_event_kind,
      v_user.id,
      (claims ->> 'session_id')::int,
      client
    );
  end if;
  if claims is null then
    outcome := 'unverified';
  end if;
end;
$$;
comment on function app_private.sign_in_with_identity(
  jsonb, int, jsonb, bytea, boolean, text, text
) is
  'Opens a session for who a provider vouches for (identity: app_private.identity). outcome: as resolve_identity(), or unverified (no session before an address is proven). Never raises for these, because a code that was used has to stay used.';
grant execute on function app_private.sign_in_with_identity(
  jsonb, int, jsonb, bytea, boolean, text, text
) to :DATABASE_AUTHENTICATOR;
