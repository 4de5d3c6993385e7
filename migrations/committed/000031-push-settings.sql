--! Previous: sha1:9091a5f93139ed652117d45d56c221378e43c9a1
--! Hash: sha1:f8eb6f6825510595eec6f986d761ac178eb97776
--! Message: push settings

-- What a recipient wants to be disturbed by, and when not. The inbox gets everything.

create table app_public.notification_events (
  event text not null,
  description text not null,
  is_mandatory boolean not null default false,
  created_at timestamptz not null default now(),
  constraint notification_events_pkey primary key (event),
  constraint notification_events_event_format check (event ~ '^[a-z][a-z0-9_.:-]{0,99}$')
);
alter table app_public.notification_events enable row level security;
create policy select_known on app_public.notification_events for select to :DATABASE_USER using (true);
create policy select_operator on app_public.notification_events for select to :DATABASE_OPERATOR
  using (true);
grant select on app_public.notification_events to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because events are the developer's: migrations write them.
comment on table app_public.notification_events is
  'The events of this app, for a page of preferences. Where there are any, notify() takes no other.';
comment on column app_public.notification_events.description is 'What it is about, in words for the user.';
comment on column app_public.notification_events.is_mandatory is
  'Pushed whatever preferences and quiet hours say, such as a security alert.';

create table app_public.notification_preferences (
  user_id int not null default app_public.current_user_id(),
  event text not null,
  is_push_enabled boolean not null,
  updated_at timestamptz not null default now(),
  constraint notification_preferences_pkey primary key (user_id, event),
  constraint notification_preferences_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint notification_preferences_event_format check (event ~ '^[a-z][a-z0-9_.:-]{0,99}$')
);
alter table app_public.notification_preferences enable row level security;
create policy select_own on app_public.notification_preferences for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.notification_preferences for select to :DATABASE_OPERATOR
  using (true);
grant select on app_public.notification_preferences to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because set_notification_preference() bounds them.
comment on table app_public.notification_preferences is
  'Whether a user wants pushes of an event; without a row they do. A user sees their own, an operator all.';

create or replace function app_public.set_notification_preference(event text, is_push_enabled boolean)
returns app_public.notification_preferences
language plpgsql volatile strict security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_user_id int = app_public.current_user_id();
  v_preference app_public.notification_preferences;
begin
  if exists (select from app_public.notification_events)
    and not exists (
      select from app_public.notification_events e where e.event = set_notification_preference.event
    )
  then
    raise exception using errcode = 'HWINP', message = 'There is no such event.', column = 'event';
  end if;
  if (
    select count(*) from app_public.notification_preferences p
    where p.user_id = v_user_id and p.event <> set_notification_preference.event
  ) >= 500 then
    raise exception using
      errcode = 'HWINP', message = 'A user has at most 500 preferences.', column = 'event';
  end if;
  insert into app_public.notification_preferences as p (user_id, event, is_push_enabled)
  values (v_user_id, set_notification_preference.event, set_notification_preference.is_push_enabled)
  on conflict on constraint notification_preferences_pkey do update
  set is_push_enabled = excluded.is_push_enabled, updated_at = now()
  returning p.* into v_preference;
  return v_preference;
end;
$$;
comment on function app_public.set_notification_preference(text, boolean) is
  'Turns the pushes of an event on or off for the user who asks; their inbox gets it either way.';

create table app_public.quiet_hours (
  user_id int not null default app_public.current_user_id(),
  starts time not null,
  ends time not null,
  updated_at timestamptz not null default now(),
  constraint quiet_hours_pkey primary key (user_id),
  constraint quiet_hours_user_id_fkey foreign key (user_id)
    references app_public.users on delete cascade,
  constraint quiet_hours_not_empty check (starts <> ends)
);
alter table app_public.quiet_hours enable row level security;
create policy select_own on app_public.quiet_hours for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy select_operator on app_public.quiet_hours for select to :DATABASE_OPERATOR
  using (true);
grant select on app_public.quiet_hours to :DATABASE_USER;
-- `insert`, `update` and `delete` are not granted, because set_quiet_hours() does all three.
comment on table app_public.quiet_hours is
  E'@behavior -single\nWhen a user gets no pushes, by the clock of their timezone; over midnight where starts is after ends. A user sees their own, an operator all.';
comment on constraint quiet_hours_not_empty on app_public.quiet_hours is
  'Quiet hours begin and end at different times.';

create or replace function app_public.set_quiet_hours(starts time default null, ends time default null)
returns app_public.quiet_hours
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_quiet_hours app_public.quiet_hours;
begin
  if starts is null and ends is null then
    delete from app_public.quiet_hours q where q.user_id = app_public.current_user_id();
    return null;
  end if;
  if starts is null or ends is null then
    raise exception using
      errcode = 'HWINP',
      message = 'Quiet hours have a beginning and an end.',
      column = case when starts is null then 'starts' else 'ends' end;
  end if;
  insert into app_public.quiet_hours as q (user_id, starts, ends)
  values (app_public.current_user_id(), set_quiet_hours.starts, set_quiet_hours.ends)
  on conflict on constraint quiet_hours_pkey do update
  set starts = excluded.starts, ends = excluded.ends, updated_at = now()
  returning q.* into v_quiet_hours;
  return v_quiet_hours;
end;
$$;
comment on function app_public.set_quiet_hours(time, time) is
  'Holds the pushes of the user who asks back between two times of their own clock; without any, ends that.';

grant execute on function
  app_public.set_notification_preference(text, boolean),
  app_public.set_quiet_hours(time, time)
to :DATABASE_USER;

create or replace function app_private.quiet_until(
  quiet_hours app_public.quiet_hours, timezone text, at timestamptz
) returns timestamptz
language sql stable
as $$
  -- Today's window, and the one that began yesterday and goes over midnight, as instants: so that a
  -- night on which the clock changes is an hour longer or shorter.
  select max(w.upper)
  from (
    select
      (d.day + quiet_hours.starts) at time zone timezone as lower,
      (
        d.day + quiet_hours.ends
        + case when quiet_hours.ends <= quiet_hours.starts then interval '1 day' else interval '0' end
      ) at time zone timezone as upper
    from (
      values ((at at time zone timezone)::date), ((at at time zone timezone)::date - 1)
    ) as d(day)
  ) as w
  where at >= w.lower and at < w.upper;
$$;
comment on function app_private.quiet_until(app_public.quiet_hours, text, timestamptz) is
  'When the quiet hours end that an instant lies in, by the clock of a time zone; null where it lies in none.';
