--! repair

alter table pg_temp.source_notifications add column known_users int[], add column known_event text;

with known as (
  select n.id, array_agg(distinct p.id) as users
  from pg_temp.source_notifications n
  cross join unnest(n.users) as u(id)
  join pg_temp.source_users p on p.id = u.id and p.state in ('present', 'moved')
  where n.state is null
  group by n.id
),
judged as (
  select
    s.id,
    k.users,
    coalesce(
      nullif(
        left(
          regexp_replace(
            regexp_replace(lower(s.event), '[^a-z0-9_.:-]+', '_', 'g'), '^[^a-z]+', ''
          ),
          100
        ),
        ''
      ),
      'imported'
    ) as event,
    (select count(distinct u) from unnest(s.users) u) > cardinality(k.users) as has_unknown
  from pg_temp.source_notifications s
  left join known k on k.id = s.id
  where s.state is null
)
update pg_temp.source_notifications s
set
  known_users = j.users,
  known_event = j.event,
  state = case when j.users is null or length(s.message) > 100000 then 'skipped' end,
  reason = case
    when coalesce(cardinality(s.users), 0) = 0 then 'no_users'
    when j.users is null then 'no_known_user'
    when length(s.message) > 100000 then 'message_too_long'
  end,
  notes = s.notes || array_remove(
    array[
      case when j.has_unknown then 'unknown_users_left_out' end,
      case when j.event is distinct from s.event then 'event_renamed' end,
      case when not coalesce(s.sent_status, false) then 'never_sent' end
    ],
    null
  )
from judged j where j.id = s.id;

--! select

-- Final, and expired: whatever happens to the status, there is no time left in which to push it.
select
  id as source_id, id, known_users as users, known_event as event, message,
  -- It is no message, but may have been an event.
  coalesce(app_private.shows_nothing(message), false) as is_silent,
  case
    when known_event = event then '{}'
    else jsonb_strip_nulls(jsonb_build_object('template_event', event))
  end as data,
  least(created_at, now()) as send_at,
  least(created_at, now()) + interval '1 second' as expires_at,
  case when sent_status then 'sent' else 'canceled' end::app_public.notification_status as status,
  coalesce(sent_status, false) as sent_status,
  cardinality(known_users) as fanned_out_users,
  true as is_audience_known,
  coalesce(created_at, now()) as created_at
from pg_temp.source_notifications where state is null

--! after

-- The inbox, as read: the template did not know who had read what, and old ones are not news.
insert into app_public.notification_recipients (notification_id, user_id, created_at, read_at)
select n.id, u.id, n.at, n.at
from (
  select id, known_users, coalesce(created_at, now()) as at
  from pg_temp.source_notifications where state is null
) n
cross join unnest(n.known_users) as k(id)
join app_public.users u on u.id = k.id and u.deleted_at is null;
