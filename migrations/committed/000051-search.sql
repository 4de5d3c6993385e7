--! Previous: sha1:e1265356b23d07d18fc7088b9bf7b7d467c1170d
--! Hash: sha1:b768670b9b5c7e5dc9b9166cfd9bc6fdd39bcb8f
--! Message: search

-- Two custom queries in SQL, as examples: full-text search, and counts by group.

alter table app_public.items
  add column if not exists search tsvector not null generated always as (
    setweight(to_tsvector('simple', title), 'A')
    || setweight(to_tsvector('simple', coalesce(description, '')), 'B')
  ) stored;
comment on column app_public.items.search is
  E'@behavior -*\nIts words, for search_items(); kept, because making them anew for each search is 20 times the work.';
-- There is no index on it: a search is among one's own items, which items_user_id_is_active_idx finds. Under
-- row-level security another index would not be used, because @@ is not leakproof.

-- Serves the policies, the foreign key and the counts below, from the index alone.
create index if not exists items_user_id_is_active_idx on app_public.items (user_id, is_active);
drop index if exists app_public.items_user_id_idx;

create or replace function app_public.search_items(search text) returns setof app_public.items
-- Not strict: then it is a part of the statement that asks, which can page and count without it.
language sql stable parallel safe rows 20
as $$
  select i.*
  from
    app_public.items i,
    -- PostgreSQL has an error of its own (XX000) for some dozens of minuses in a row.
    websearch_to_tsquery(
      'simple', regexp_replace(search_items.search, '(-\s*){2,}', '-', 'g')
    ) as wanted
  where i.search @@ wanted
  order by ts_rank(i.search, wanted) desc, i.id desc;
$$;
comment on function app_public.search_items(text) is
  E'@sortable\n@filterable\nOne''s own items with these words, in title or description, the best first. Words in quotes stand together, or is a choice, a minus excludes: as web search engines have it.';
grant execute on function app_public.search_items(text) to :DATABASE_USER;

create type app_public.item_counts as (active int, inactive int);
comment on type app_public.item_counts is E'@name itemCounts\n@behavior -filterBy\nHow many items there are of each kind.';
comment on column app_public.item_counts.active is 'Those that are in use.';
comment on column app_public.item_counts.inactive is 'Those that were put aside.';

create or replace function app_public.users_item_counts(person app_public.users)
returns app_public.item_counts
language sql stable strict parallel safe
as $$
  select
    (count(*) filter (where i.is_active))::int,
    (count(*) filter (where not i.is_active))::int
  from app_public.items i
  where i.user_id = person.id;
$$;
comment on function app_public.users_item_counts(app_public.users) is
  'How many items the user has, active and not, counted in the index alone.';
grant execute on function app_public.users_item_counts(app_public.users) to :DATABASE_USER;

-- What one takes along is what one wrote.
create or replace function app_private.export_user(user_id int) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'user', to_jsonb(u),
    'items', (
      select coalesce(jsonb_agg(to_jsonb(i) - 'search' order by i.id), '[]')
      from app_public.items i where i.user_id = u.id
    ),
    'sessions', (
      select coalesce(jsonb_agg(to_jsonb(s) order by s.id), '[]')
      from app_public.sessions s where s.user_id = u.id
    ),
    'device_tokens', (
      select coalesce(jsonb_agg(to_jsonb(d) - 'token' order by d.id), '[]')
      from app_public.device_tokens d where d.user_id = u.id
    ),
    'oauth2_credentials', (
      select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
      from app_public.oauth2_credentials c where c.user_id = u.id
    ),
    'notifications', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object(
            'id', n.id, 'event', n.event, 'title', n.title, 'message', n.message, 'data', n.data,
            'created_at', n.created_at, 'read_at', r.read_at
          ) order by n.id
        ),
        '[]'
      )
      from app_public.notification_recipients r
      join app_public.notifications n on n.id = r.notification_id
      where r.user_id = u.id
    ),
    'security_events', (
      select coalesce(jsonb_agg(to_jsonb(e) order by e.id), '[]')
      from app_private.security_events e where e.user_id = u.id
    )
  )
  from app_public.users u where u.id = export_user.user_id;
$$;
