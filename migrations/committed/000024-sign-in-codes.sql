--! Previous: sha1:1b8579da90297fd8b5db369b6996c750b969e9eb
--! Hash: sha1:7fa45cd56998f1d9f63a6253edd10790d0156e19
--! Message: sign in codes

-- From the provider's answer to tokens: no token is ever in a URL. The return URL carries a code, which is
-- good once, for 60 seconds, and only with the verifier (PKCE, RFC 7636) of the client that began.

create table app_private.used_sign_in_states (
  state_hash bytea not null,
  expires_at timestamptz not null,
  constraint used_sign_in_states_pkey primary key (state_hash),
  constraint used_sign_in_states_state_hash_length check (octet_length(state_hash) = 32)
);
alter table app_private.used_sign_in_states enable row level security;
create index used_sign_in_states_expires_at_idx on app_private.used_sign_in_states (expires_at);
comment on table app_private.used_sign_in_states is
  'The state parameters (RFC 6749, 10.12) that came back, SHA-256: each counts once. They are sealed, so that nothing is kept before. No policy, no grant: definer functions only.';

create table app_private.sign_in_codes (
  code_hash bytea not null,
  code_challenge text not null,
  identity app_private.identity not null,
  expires_at timestamptz not null,
  constraint sign_in_codes_pkey primary key (code_hash),
  constraint sign_in_codes_code_hash_length check (octet_length(code_hash) = 32)
);
alter table app_private.sign_in_codes enable row level security;
create index sign_in_codes_expires_at_idx on app_private.sign_in_codes (expires_at);
comment on table app_private.sign_in_codes is
  'Codes of return URLs, SHA-256, until they are exchanged. No policy, no grant: definer functions only.';
comment on column app_private.sign_in_codes.code_challenge is
  'base64url of the SHA-256 of the client''s code verifier (RFC 7636, S256).';

create or replace function app_private.begin_sign_in(client jsonb, factor double precision) returns int
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select app_private.count_attempt('log_in_by_ip', coalesce(client ->> 'ip', ''), factor);
$$;
comment on function app_private.begin_sign_in(jsonb, double precision) is
  'Counts an attempt to sign in with a provider; 0 where it is let in, else seconds.';

create or replace function app_private.use_sign_in_state(
  state_hash bytea, client jsonb, factor double precision, out retry_after int, out is_first boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  retry_after := app_private.begin_sign_in(client, factor);
  if retry_after > 0 then
    return;
  end if;
  insert into app_private.used_sign_in_states (state_hash, expires_at)
  values (use_sign_in_state.state_hash, now() + interval '10 minutes')
  on conflict on constraint used_sign_in_states_pkey do nothing;
  is_first := found;
end;
$$;
comment on function app_private.use_sign_in_state(bytea, jsonb, double precision) is
  'Counts an attempt to sign in (retry_after: seconds to wait, or 0), and says whether this state (as SHA-256) comes back for the first time.';

create or replace function app_private.store_sign_in_code(
  code_hash bytea, code_challenge text, identity jsonb
) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into app_private.sign_in_codes (code_hash, code_challenge, identity, expires_at)
  values (
    code_hash,
    code_challenge,
    jsonb_populate_record(null::app_private.identity, identity),
    now() + interval '60 seconds'
  );
$$;
comment on function app_private.store_sign_in_code(bytea, text, jsonb) is
  'Keeps what a provider said for 60 seconds, until the client exchanges the code.';

create or replace function app_private.exchange_sign_in_code(
  code_hash bytea,
  code_challenge text,
  signed_in_user_id int,
  client jsonb,
  refresh_token_hash bytea,
  confirmation_required boolean,
  issuer text,
  audience text,
  factor double precision,
  out retry_after int,
  out outcome text,
  out claims jsonb
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_code app_private.sign_in_codes;
begin
  retry_after := app_private.begin_sign_in(client, factor);
  if retry_after > 0 then
    return;
  end if;
  -- Whoever presents a code uses it up, with the wrong verifier as well.
  delete from app_private.sign_in_codes c
  where c.code_hash = exchange_sign_in_code.code_hash
  returning c.* into v_code;
  if v_code.code_hash is null
    or v_code.expires_at <= now()
    or v_code.code_challenge <> exchange_sign_in_code.code_challenge
  then
    outcome := 'invalid';
    return;
  end if;
  select s.outcome, s.claims into outcome, claims
  from app_private.sign_in_with_identity(
    to_jsonb(v_code.identity),
    signed_in_user_id,
    client,
    refresh_token_hash,
    confirmation_required,
    issuer,
    audience
  ) s;
end;
$$;
comment on function app_private.exchange_sign_in_code(
  bytea, text, int, jsonb, bytea, boolean, text, text, double precision
) is
  'Exchanges a code (as SHA-256) with the challenge that its verifier gives. outcome: as sign_in_with_identity(), or invalid. Never raises for a bad code, because its use has to commit.';

grant execute on function
  app_private.begin_sign_in(jsonb, double precision),
  app_private.use_sign_in_state(bytea, jsonb, double precision),
  app_private.store_sign_in_code(bytea, text, jsonb),
  app_private.exchange_sign_in_code(
    bytea, text, int, jsonb, bytea, boolean, text, text, double precision
  )
to :DATABASE_AUTHENTICATOR;
