--! Previous: sha1:da5d7709b3097c57cc415c34204b6c78c8357a82
--! Hash: sha1:c962fe7840bcf3f370101227703aa9c7df1e821c
--! Message: live

-- Live events: ids only, on one channel; each API process listens once and routes to its subscribers,
-- who read the row again under their own policies.

create or replace function app_hidden.publish(topic text, keys int[], payload jsonb) returns void
language sql volatile
as $$
  -- A NOTIFY holds at most 8,000 bytes: 500 ids of 11 characters leave room for the rest.
  select pg_notify(
    'howdah_live',
    jsonb_build_object('topic', topic, 'keys', jsonb_agg(k.key), 'payload', payload)::text
  )
  from unnest(keys) with ordinality as k(key, position)
  group by (k.position - 1) / 500;
$$;
comment on function app_hidden.publish(text, int[], jsonb) is
  'Sends an event, when this transaction commits, to the subscribers of (topic, key) for each of the keys, e.g. user ids. payload: ids only, at most 1,000 bytes.';
