--! Previous: sha1:710c64be6145e67dcd8481e99c3dbc3ee0eea785
--! Hash: sha1:44203fa006a31cb3dab363832e607ea8e2508f61
--! Message: pending changes

-- With a new password, what an intruder had begun is over: a link to an address of theirs, sent before, would
-- else still move the account there.

create or replace function app_private.void_pending_changes(user_id int) returns void
language sql volatile
as $$
  delete from app_private.user_tokens t
  using app_public.users u
  where u.id = void_pending_changes.user_id
    and t.user_id = u.id
    and t.used_at is null
    and (
      t.purpose = 'password_reset'
      or (t.purpose = 'email_verification' and t.target::citext is distinct from u.email)
      or (t.purpose = 'phone_verification' and t.target is distinct from u.phone)
    );
$$;
comment on function app_private.void_pending_changes(int) is
  'Voids reset links, and links and codes to addresses that are not the user''s yet.';

create or replace function app_private.set_password(
  user_id int, password_hash text, keep_session_id int, reason text
) returns void
language sql volatile
as $$
  insert into app_private.user_secrets as s (user_id, password_hash)
  values (set_password.user_id, set_password.password_hash)
  on conflict on constraint user_secrets_pkey do update
  set password_hash = excluded.password_hash, password_changed_at = now();
  select app_private.void_pending_changes(set_password.user_id);
  select app_private.revoke_sessions(
    array(
      select s.id from app_public.sessions s
      where s.user_id = set_password.user_id and s.id is distinct from keep_session_id
    ),
    reason
  );
  select app_private.send_notice(u.id, reason, u.email)
  from app_public.users u where u.id = set_password.user_id and u.email is not null;
$$;
comment on function app_private.set_password(int, text, int, text) is
  'Stores a new hash, ends every session but one and every pending change of address, and mails a notice.';
