--! repair

with judged as (
  select
    s.id,
    case
      when s.is_revoked then 'token_revoked'
      when coalesce(s.expires_at, '-infinity') <= now() then 'token_expired'
      when not s.is_usable then 'token_unusable'
      when exists (select from app_private.refresh_tokens t where t.token_hash = s.token_hash)
        then 'token_known_here'
    end as reason,
    row_number() over (partition by s.token_hash order by s.is_revoked desc, s.id) as copy
  from pg_temp.source_refresh_tokens s where s.state is null
)
update pg_temp.source_refresh_tokens s
set state = 'skipped', reason = coalesce(j.reason, 'token_twice')
from judged j where j.id = s.id and (j.reason is not null or j.copy > 1);

-- At most 20 live sessions a user, those that are here already among them.
with judged as (
  select
    s.id,
    row_number() over (
      partition by s.user_id
      order by coalesce(s.last_used_at, s.created_at) desc nulls last, s.id desc
    ) + (
      select count(*) from app_public.sessions o
      where o.user_id = s.user_id and o.revoked_at is null and o.expires_at > now()
    ) as place
  from pg_temp.source_refresh_tokens s where s.state is null
)
update pg_temp.source_refresh_tokens s
set state = 'skipped', reason = 'too_many_sessions'
from judged j where j.id = s.id and j.place > 20;

-- Nobody else makes sessions while these tables are locked.
with numbered as (
  select s.id, row_number() over (order by s.id) + q.last_value as session_id
  from pg_temp.source_refresh_tokens s
  cross join app_public.sessions_id_seq q
  where s.state is null
)
update pg_temp.source_refresh_tokens s
set
  session_id = n.session_id,
  device_info = left(s.device_info, 500),
  notes = case
    when length(s.device_info) > 500 then s.notes || '{device_info_shortened}'::text[] else s.notes
  end
from numbered n where n.id = s.id;

--! select

select
  id as source_id, session_id as id, user_id, device_info,
  coalesce(created_at, now()) as created_at,
  coalesce(last_used_at, created_at, now()) as last_used_at
from pg_temp.source_refresh_tokens where state is null

--! after

-- Numbered by hand, because what a sequence has given is not taken back by a rollback.
insert into app_private.refresh_tokens (id, session_id, token_hash, created_at, expires_at)
overriding system value
select
  q.last_value + row_number() over (order by s.id),
  s.session_id,
  s.token_hash,
  coalesce(s.created_at, now()),
  least(s.expires_at, now() + interval '30 days')
from pg_temp.source_refresh_tokens s
cross join app_private.refresh_tokens_id_seq q
where s.state is null;
