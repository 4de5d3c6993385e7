--! repair

with judged as (
  select
    s.id,
    case
      when not pg_input_is_valid(coalesce(lower(s.provider), ''), 'app_public.oauth2_provider')
        then 'provider_unknown'
      when row_number() over (
        partition by s.user_id, lower(s.provider), app_hidden.normalize_email(s.email)
        order by coalesce(s.updated_at, s.created_at) desc nulls last, s.id desc
      ) > 1
        then 'credential_twice'
    end as reason,
    count(*) over (partition by lower(s.provider), app_hidden.normalize_email(s.email))
      > count(*) over (
        partition by lower(s.provider), app_hidden.normalize_email(s.email), s.user_id
      ) as is_shared
  from pg_temp.source_oauth2_credentials s where s.state is null
)
update pg_temp.source_oauth2_credentials s
set
  state = case when j.reason is not null then 'skipped' end,
  reason = j.reason,
  provider = lower(s.provider),
  notes = s.notes || array_remove(
    array[
      case when lower(s.provider) = 'facebook' then 'facebook_to_be_linked' end,
      case when j.is_shared then 'provider_account_of_several' end,
      case when s.is_token_cut then 'provider_token_too_long' end
    ],
    null
  )
from judged j where j.id = s.id;

--! select

select
  id as source_id, id, user_id, provider::app_public.oauth2_provider as provider,
  app_hidden.normalize_email(email) as email, token_expiry,
  coalesce(created_at, now()) as created_at, coalesce(updated_at, created_at, now()) as updated_at
from pg_temp.source_oauth2_credentials where state is null

--! after

insert into app_private.oauth2_tokens (
  oauth2_credential_id, access_token_encrypted, refresh_token_encrypted
)
select id, access_token_encrypted, refresh_token_encrypted
from pg_temp.source_oauth2_credentials
where state is null and coalesce(access_token_encrypted, refresh_token_encrypted) is not null;
