--! Previous: sha1:0cd3e65a7a2d2cb300bdf8b8af99c8c467f2d060
--! Hash: sha1:642f3da886d94bf3bb93550b4e579daa2117b6e5
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
