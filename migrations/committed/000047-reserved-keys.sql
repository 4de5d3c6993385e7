--! Previous: sha1:a6af3772fe5d8a820569811dc9682165529371bf
--! Hash: sha1:472fbd5242181509ed2cb235eaf039a03f3e0816
--! Message: reserved keys

-- FCM reserves every key that begins with gcm, not only gcm itself and gcm.…: such a push would fail on each
-- device.

create or replace function app_private.check_push_payload(
  event text, message text, title text, data jsonb
) returns void
language plpgsql stable
as $$
declare
  v_key text;
begin
  if jsonb_typeof(data) <> 'object' then
    return; -- The table's constraint says so.
  end if;
  select key into v_key from jsonb_each(data) where jsonb_typeof(value) <> 'string' limit 1;
  if found then
    raise exception using
      errcode = 'HWINP',
      message = format('The value of "%s" in data is not a string; FCM takes only strings.', v_key),
      column = 'data';
  end if;
  select key into v_key from jsonb_object_keys(data) as key
  where key in ('from', 'gcm', 'notification', 'message_type', 'notification_id', 'event', '')
    or key like 'google%' or key like 'gcm%'
  limit 1;
  if found then
    raise exception using
      errcode = 'HWINP',
      message = format('The key "%s" in data is reserved.', v_key),
      hint = 'Use another name: from, gcm, notification, message_type, notification_id, event and what begins with google or gcm are taken.',
      column = 'data';
  end if;
  -- FCM counts the message as it is sent; 128 bytes are for the ids that go along.
  if octet_length(
    jsonb_build_object('title', title, 'body', message, 'event', event, 'data', data)::text
  ) + 128 > 4096 then
    raise exception using
      errcode = 'HWINP',
      message = 'The push is too long: title, message and data have at most 4,096 bytes together.',
      column = 'message';
  end if;
end;
$$;
comment on function app_private.check_push_payload(text, text, text, jsonb) is
  'Raises HWINP (BAD_USER_INPUT) for what FCM would refuse: size, reserved keys, values that are no strings.';
