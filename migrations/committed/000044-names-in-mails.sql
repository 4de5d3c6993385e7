--! Previous: sha1:62ee3eac61444bec1444e44066e5c6adef753cdb
--! Hash: sha1:229d21b49fd77513a1e47c096b823eaac207da59
--! Message: names in mails

-- Names and addresses go into mails: nothing in them may be read as more than a name or one address.

alter table app_public.users
  drop constraint users_email_format,
  add constraint users_email_format check (
    length(email) <= 254
    and email::text ~ '^[^@[:space:][:cntrl:]<>,;:"()\[\]\\]+@[^@[:space:][:cntrl:]<>,;:"()\[\]\\]+\.[^@.[:space:][:cntrl:]<>,;:"()\[\]\\]+$'
  ),
  add constraint users_names_printable check (
    first_name !~ '[[:cntrl:]]' and last_name !~ '[[:cntrl:]]'
  );
comment on constraint users_email_format on app_public.users is 'This is not an e-mail address.';
comment on constraint users_names_printable on app_public.users is
  'A name has no line breaks or other control characters.';
