--! Previous: sha1:7a8a670ce25c7671f23402300afde7d5f818e2bc
--! Hash: sha1:71d76594d39a80159b44d35931fb6fa3ff91466d
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
