--! Previous: sha1:b9bb0e3fdddd3684270d5ba9a76ba9c5667d2046
--! Hash: sha1:d2be03fe6846aa970581de814cd04ab2d166cc54
--! Message: users

-- People. What others may never read is in app_private, 1:1, so that no column needs hiding.

create or replace function app_hidden.is_time_zone(name text) returns boolean
language plpgsql stable strict parallel safe
as $$
begin
  -- IANA names only: PostgreSQL alone would also take POSIX strings such as FOO+3.
  if name !~ '^[A-Za-z]+([_-][A-Za-z0-9]+)*(/[A-Za-z0-9_+-]+)*$' and name !~ '^[A-Z]{3}[0-9][A-Z]{3}$' then
    return false;
  end if;
  perform now() at time zone name;
  return true;
exception
  when invalid_parameter_value then return false;
end;
$$;
comment on function app_hidden.is_time_zone(text) is
  'True for a name of the IANA time zone database that this server knows.';
grant execute on function app_hidden.is_time_zone(text) to
  :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;

create table app_public.users (
  id int generated always as identity,
  first_name text not null,
  last_name text,
  email citext,
  email_verified boolean not null default false,
  phone text,
  phone_verified boolean not null default false,
  picture text,
  created_at timestamptz not null default now(),
  last_logged_in timestamptz,
  timezone text not null default 'UTC',
  deleted_at timestamptz,
  is_deleted boolean not null generated always as (deleted_at is not null) stored,
  constraint users_pkey primary key (id),
  constraint users_first_name_length check (length(first_name) between 1 and 100),
  constraint users_last_name_length check (length(last_name) <= 100),
  constraint users_email_format check (
    length(email) <= 254 and email::text ~ '^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+\.[^@.[:space:][:cntrl:]]+$'
  ),
  constraint users_email_normalized check (email::text is nfc normalized),
  constraint users_phone_format check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  constraint users_picture_is_url check (length(picture) <= 2048 and picture ~ '^https?://[^[:space:]]+$'),
  constraint users_timezone_known check (app_hidden.is_time_zone(timezone))
);

alter table app_public.users enable row level security;

-- Unique among the living: a deleted user frees both.
create unique index users_email_idx on app_public.users (email) where deleted_at is null;
create unique index users_phone_idx on app_public.users (phone) where deleted_at is null;

create policy select_own on app_public.users for select to :DATABASE_USER
  using (id = (select app_public.current_user_id()) and deleted_at is null);
create policy select_operator on app_public.users for select to :DATABASE_OPERATOR
  using (true);
create policy update_own on app_public.users for update to :DATABASE_USER
  using (id = (select app_public.current_user_id()) and deleted_at is null)
  with check (id = (select app_public.current_user_id()) and deleted_at is null);

grant select on app_public.users to :DATABASE_USER;
-- `insert` is not granted, because people sign up; `delete` neither, because accounts are closed;
-- email, phone and whether they are verified change only by proof.
grant update (first_name, last_name, picture, timezone) on app_public.users to :DATABASE_USER;

comment on table app_public.users is
  E'@behavior -update\nA person with an account. Users see themselves, operators everybody.';
-- @isIndexed: by a partial index, which PostGraphile does not count.
comment on column app_public.users.email is
  E'@isIndexed\nUnique whatever its case; NFC. Null when signed up by phone.';
comment on column app_public.users.email_verified is 'True once the address was proven; nobody can set it.';
comment on column app_public.users.phone is
  E'@isIndexed\nE.164, such as +4930123456. Unique. Null when signed up by e-mail.';
comment on column app_public.users.phone_verified is 'True once the number was proven; nobody can set it.';
comment on column app_public.users.picture is 'http(s) URL of a picture.';
comment on column app_public.users.timezone is 'IANA time zone name, for pushes at a local time.';
comment on column app_public.users.deleted_at is 'When the account was closed; such a user can do nothing.';
comment on constraint users_first_name_length on app_public.users is 'A first name has 1 to 100 characters.';
comment on constraint users_last_name_length on app_public.users is 'A last name has at most 100 characters.';
comment on constraint users_email_format on app_public.users is 'This is not an e-mail address.';
comment on constraint users_email_normalized on app_public.users is 'This e-mail address is not in Unicode form NFC.';
comment on constraint users_phone_format on app_public.users is
  'A phone number is written with its country code, such as +4930123456.';
comment on constraint users_picture_is_url on app_public.users is
  'A picture is an http or https URL of at most 2048 characters.';
comment on constraint users_timezone_known on app_public.users is
  'This is no time zone; use an IANA name such as Europe/Berlin.';
comment on index app_public.users_email_idx is 'This e-mail address is taken.';
comment on index app_public.users_phone_idx is 'This phone number is taken.';

-- The secrets of a user: only functions of app_private come here.
create table app_private.user_secrets (
  user_id int not null,
  password_hash text,
  password_changed_at timestamptz not null default now(),
  constraint user_secrets_pkey primary key (user_id),
  constraint user_secrets_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade
);
alter table app_private.user_secrets enable row level security;
comment on table app_private.user_secrets is
  'What belongs to a user and must not be read. No policy, no grant: definer functions only.';
comment on column app_private.user_secrets.password_hash is
  'PHC string of Argon2id (or bcrypt, imported); null for who never set a password.';

create type app_private.user_token_purpose as enum ('email_verification', 'phone_verification', 'password_reset');

-- Links and codes that prove an address. One live per user and purpose: a new one voids the older.
create table app_private.user_tokens (
  user_id int not null,
  purpose app_private.user_token_purpose not null,
  token_hash bytea not null,
  target text not null,
  attempts int not null default 0,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  constraint user_tokens_pkey primary key (user_id, purpose),
  constraint user_tokens_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint user_tokens_token_hash_length check (octet_length(token_hash) = 32)
);
alter table app_private.user_tokens enable row level security;
create index user_tokens_token_hash_idx on app_private.user_tokens (token_hash);
comment on table app_private.user_tokens is
  'Verification and reset tokens, hashed, with expiry and use. No policy, no grant: definer functions only.';
comment on column app_private.user_tokens.target is 'The address that the token proves, as it was when it was sent.';
comment on column app_private.user_tokens.token_hash is 'SHA-256 of a link token, HMAC-SHA-256 of a code.';

-- Who is an operator. Granted with `npm run howdah -- operator:grant EMAIL`, never through the API.
create table app_private.operators (
  user_id int not null,
  granted_at timestamptz not null default now(),
  constraint operators_pkey primary key (user_id),
  constraint operators_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade
);
alter table app_private.operators enable row level security;
comment on table app_private.operators is
  'The users whose tokens carry the role operator. No policy, no grant: definer functions only.';

-- `me` is no table access of its own: nobody at all gets null instead of an error.
create or replace function app_public.me() returns app_public.users
language sql stable security definer parallel safe set search_path = pg_catalog, public, pg_temp
as $$
  select u from app_public.users u
  where u.id = app_public.current_user_id() and u.deleted_at is null;
$$;
comment on function app_public.me() is 'The user who asks; null where nobody is logged in.';
grant execute on function app_public.me() to :DATABASE_ANONYMOUS, :DATABASE_USER, :DATABASE_OPERATOR;
