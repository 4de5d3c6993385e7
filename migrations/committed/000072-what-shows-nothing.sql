--! Previous: sha1:ba43f24a8fe6098f4f44ba32779ac5619d9223a0
--! Hash: sha1:5b60e36b29bddc8e3616bbd31233ee41db35a9bf
--! Message: what shows nothing

-- One judgement of what can be seen of a message, for what is sent and for what is imported.

create or replace function app_private.shows_nothing(message text) returns boolean
language sql immutable parallel safe
as $$
  -- Blanks, control characters, and those that have no width.
  select shows_nothing.message ~ '^[[:space:][:cntrl:]\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufeff]*$';
$$;
comment on function app_private.shows_nothing(text) is
  'True for a message of which nothing can be seen; null for none.';

create or replace function app_private.tg_notifications__check_text() returns trigger
language plpgsql volatile
as $$
begin
  if not new.is_silent and app_private.shows_nothing(new.message) then
    perform app_private.refuse_notification('message', 'Nothing of this message can be seen.');
  end if;
  if new.collapse_key ~ '[[:cntrl:]]' then
    perform app_private.refuse_notification('collapse_key', 'A collapse key has no control characters.');
  end if;
  return new;
end;
$$;
