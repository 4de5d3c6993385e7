--! Previous: sha1:8512e4de9eb94f65962c8d801c13091c92ce47ac
--! Hash: sha1:da5d7709b3097c57cc415c34204b6c78c8357a82
--! Message: oauth2 credentials

-- Sign-in with others. An identity is (provider, subject), never the e-mail address.

create type app_public.oauth2_provider as enum ('google', 'github', 'facebook');
comment on type app_public.oauth2_provider is 'Who may vouch for a user.';

create table app_public.oauth2_credentials (
  id int generated always as identity,
  user_id int not null,
  provider app_public.oauth2_provider not null,
  subject text,
  email citext,
  token_expiry timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint oauth2_credentials_pkey primary key (id),
  constraint oauth2_credentials_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint oauth2_credentials_subject_unique unique (provider, subject),
  constraint oauth2_credentials_subject_length check (length(subject) between 1 and 255)
);

alter table app_public.oauth2_credentials enable row level security;

create index oauth2_credentials_user_id_idx on app_public.oauth2_credentials (user_id);
create index oauth2_credentials_email_idx on app_public.oauth2_credentials (email);

create policy select_own on app_public.oauth2_credentials for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.oauth2_credentials for select to :DATABASE_OPERATOR
  using (true);

grant select on app_public.oauth2_credentials to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because only a provider's answer makes a row, and
-- because the last way to log in must not be taken away.

create trigger _100_timestamps
  before insert or update on app_public.oauth2_credentials
  for each row execute function app_private.tg__timestamps();

comment on table app_public.oauth2_credentials is
  'An account elsewhere with which this user logs in. A user sees their own, an operator all.';
comment on column app_public.oauth2_credentials.subject is
  E'@behavior -*\nThe provider''s own id of the user. Null for an imported row until its first sign-in.';
comment on column app_public.oauth2_credentials.email is 'The address that the provider gave; it may give none.';
comment on column app_public.oauth2_credentials.token_expiry is 'When the provider''s access token ends.';

create table app_private.oauth2_tokens (
  oauth2_credential_id int not null,
  access_token_encrypted bytea,
  refresh_token_encrypted bytea,
  constraint oauth2_tokens_pkey primary key (oauth2_credential_id),
  constraint oauth2_tokens_oauth2_credential_id_fkey foreign key (oauth2_credential_id)
    references app_public.oauth2_credentials on delete cascade
);
alter table app_private.oauth2_tokens enable row level security;
comment on table app_private.oauth2_tokens is
  'Tokens of the providers, encrypted in Node with CREDENTIALS_KEY. No policy, no grant: definer functions only.';
