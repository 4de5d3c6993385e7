--! Previous: sha1:9b7bfcc1d413d616ebed30653accf3d6f7d657c7
--! Hash: sha1:d7b630b458f2455f1073a9382e2aef8832a407eb
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
