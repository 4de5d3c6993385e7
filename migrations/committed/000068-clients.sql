--! Previous: sha1:8f24d83b14b59c8833bc21d715ecb14d26d2b840
--! Hash: sha1:e67427159bcebda3e38d4ab192dc0e66b1ddf7ba
--! Message: clients

-- What clients of the API rely on: cursors of functions that name a row.

-- @orderedBy makes them: see docs/database-first.md.
comment on function app_public.users_security_events(app_public.users) is
  E'@orderedBy id desc\nWhat happened to this account in the last 90 days, newest first: one''s own, or for an operator anybody''s.';
comment on function app_public.security_events() is
  E'@orderedBy id desc\nThe security log of all accounts, newest first; for operators.';
comment on function app_public.search_notifications(text, app_public.notification_status[]) is
  E'@orderedBy id desc\nNotifications by their number, or by words of their event, title, text or audience; newest first. A user finds what they received, an operator all.';
comment on function app_public.push_minutes(int) is
  E'@orderedBy starts_at\nThe deliveries of the last minutes (at most 100), by minute and outcome; for operators.';
comment on function app_public.schema_tables() is
  E'@orderedBy name\nThe tables of the API with columns and references, from the catalogue; for operators.';

create or replace function app_hidden.item_rank(item app_public.items, search text)
returns double precision
-- Not strict, as search_items() is not.
language sql stable parallel safe
as $$
  select ts_rank(
    item.search,
    websearch_to_tsquery('simple', regexp_replace(item_rank.search, '(-\s*){2,}', '-', 'g'))
  )::double precision;
$$;
comment on function app_hidden.item_rank(app_public.items, text) is
  'How well an item matches the words of search_items().';
grant execute on function app_hidden.item_rank(app_public.items, text) to :DATABASE_USER;
comment on function app_public.search_items(text) is
  E'@sortable\n@filterable\n@orderedBy item_rank(search) desc, id desc\nOne''s own items with these words, in title or description, the best first. Words in quotes stand together, or is a choice, a minus excludes: as web search engines have it.';
