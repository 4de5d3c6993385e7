--! repair

with judged as (
  select
    s.id,
    case
      when pg_input_is_valid(
          coalesce(lower(btrim(s.device_type)), ''), 'app_public.device_type'
        ) is not true
        then 'device_type_unknown'
      when exists (select from app_public.device_tokens d where d.token = s.token)
        then 'device_registered_here'
    end as reason,
    row_number() over (
      partition by s.token order by coalesce(s.updated_at, s.created_at) desc nulls last, s.id desc
    ) as copy
  from pg_temp.source_device_tokens s where s.state is null
)
update pg_temp.source_device_tokens s
set state = 'skipped', reason = coalesce(j.reason, 'token_twice')
from judged j where j.id = s.id and (j.reason is not null or j.copy > 1 and s.token is not null);

--! select

-- last_seen_at is now: what seems stale would be disabled before its app is updated.
select
  id as source_id, id, user_id, token,
  lower(btrim(device_type))::app_public.device_type as device_type,
  coalesce(created_at, now()) as created_at, coalesce(updated_at, created_at, now()) as updated_at
from pg_temp.source_device_tokens where state is null
