--! repair

-- A closed account keeps its id and nothing else, as one that is closed here.
update pg_temp.source_users s
set
  deleted_at = least(coalesce(s.deleted_at, s.last_logged_in, s.created_at, now()), now()),
  first_name = 'Deleted',
  last_name = null, email = null, phone = null, picture = null, password_hash = null,
  email_verified = false, phone_verified = false, timezone = 'UTC', reset_token_expires = null,
  notes = s.notes || '{account_closed}'::text[]
where s.state is null and (s.is_deleted or s.deleted_at is not null);

with fitting as (
  select
    s.id,
    nullif(left(btrim(regexp_replace(s.first_name, '[[:cntrl:]]+', ' ', 'g')), 100), '')
      as first_name,
    nullif(left(btrim(regexp_replace(s.last_name, '[[:cntrl:]]+', ' ', 'g')), 100), '')
      as last_name
  from pg_temp.source_users s where s.state is null
)
update pg_temp.source_users s
set
  first_name = coalesce(f.first_name, f.last_name, 'User'),
  last_name = case when f.first_name is not null then f.last_name end,
  email = app_hidden.normalize_email(s.email::text),
  phone = app_hidden.normalize_phone(s.phone),
  picture = nullif(btrim(s.picture), ''),
  password_hash = nullif(s.password_hash, ''),
  email_verified = coalesce(s.email_verified, false),
  phone_verified = coalesce(s.phone_verified, false),
  notes = s.notes || array_remove(
    array[
      case when f.first_name is null then 'first_name_missing' end,
      case
        when f.first_name <> btrim(s.first_name) or f.last_name <> btrim(s.last_name)
          then 'name_shortened'
      end,
      case when s.reset_token_expires > now() then 'reset_link_ends' end
    ],
    null
  )
from fitting f where f.id = s.id;

-- What does not fit is left out rather than the person.
update pg_temp.source_users
set email = null, email_verified = false, notes = notes || '{email_invalid}'::text[]
where state is null and not (:users_email_format and :users_email_normalized);
update pg_temp.source_users
set phone = null, phone_verified = false, notes = notes || '{phone_invalid}'::text[]
where state is null and not :users_phone_format;
update pg_temp.source_users
set picture = null, notes = notes || '{picture_invalid}'::text[]
where state is null and not :users_picture_is_url;
update pg_temp.source_users
set timezone = 'UTC', notes = notes || '{timezone_unknown}'::text[]
where state is null and not coalesce(:users_timezone_known, false);
update pg_temp.source_users
set password_hash = null, notes = notes || '{password_hash_unknown}'::text[]
where state is null and password_hash !~ concat(
    '^(\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}|',
    '\$argon2(id|i|d)\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}',
    '\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+)$'
  );

-- An address belongs to one: to who has proven it, then to who was here last, then to the newer.
with place as (
  select
    s.id,
    row_number() over (
      partition by s.email
      order by
        s.email_verified desc, coalesce(s.last_logged_in, s.created_at) desc nulls last, s.id desc
    ) as place,
    exists (
      select from app_public.users u where u.email = s.email and u.deleted_at is null
    ) as is_taken
  from pg_temp.source_users s where s.state is null and s.email is not null
)
update pg_temp.source_users s
set
  email = null,
  email_verified = false,
  notes = s.notes || case when p.is_taken then 'email_taken_here' else 'email_of_another' end
from place p where p.id = s.id and (p.is_taken or p.place > 1);

with place as (
  select
    s.id,
    row_number() over (
      partition by s.phone
      order by
        s.phone_verified desc, coalesce(s.last_logged_in, s.created_at) desc nulls last, s.id desc
    ) as place,
    exists (
      select from app_public.users u where u.phone = s.phone and u.deleted_at is null
    ) as is_taken
  from pg_temp.source_users s where s.state is null and s.phone is not null
)
update pg_temp.source_users s
set
  phone = null,
  phone_verified = false,
  notes = s.notes || case when p.is_taken then 'phone_taken_here' else 'phone_of_another' end
from place p where p.id = s.id and (p.is_taken or p.place > 1);

-- Whom we would lock out is better mended in the old database and moved by the next run.
update pg_temp.source_users s
set
  state = 'skipped',
  reason = 'locked_out_' || (select n from unnest(s.notes) n where n ~ '^(email|phone)_' limit 1)
where s.state is null
  and s.email is null
  and s.phone is null
  and exists (select from unnest(s.notes) n where n ~ '^(email|phone)_')
  and not exists (
    select from pg_temp.source_oauth2_credentials c
    where c.user_id = s.id
      -- Facebook vouches for no address, so that its row never gets its subject.
      and lower(c.provider) in ('google', 'github')
  );

--! select

select
  id as source_id, id, first_name, last_name, email, email_verified, phone, phone_verified, picture,
  coalesce(created_at, now()) as created_at, last_logged_in, timezone, deleted_at
from pg_temp.source_users where state is null

--! after

insert into app_private.user_secrets (user_id, password_hash)
select id, password_hash from pg_temp.source_users
where state is null and password_hash is not null;

-- The hourly release_unproven_addresses() would take the e-mail address from who has proven only a
-- phone: nobody knows this token, it stands for three months in which to prove the address.
insert into app_private.user_tokens (user_id, purpose, token_hash, target, expires_at)
select
  id, 'email_verification', public.gen_random_bytes(32), email::text, now() + interval '90 days'
from pg_temp.source_users
where state is null and email is not null and phone_verified and not email_verified;
