--! Previous: sha1:8b1b4d611972ce56e7d80ba30d83b6c7ef878697
--! Hash: sha1:0963834a62327644105201b46b6db2edf8f4f3aa
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
