--! Previous: sha1:2ab7b52def6aac651d1e7a64f21ae46739e4fb89
--! Hash: sha1:4b81fa7efbe4f09ae9e8429eaeb21405c2889250
--! Message: idle sessions

-- A session that was not refreshed for 30 days has ended, though its 90 days are not over: its user sees it no more.

alter policy select_own on app_public.sessions
  using (
    user_id = (select app_public.current_user_id())
    and revoked_at is null
    and expires_at > now()
    and last_used_at > now() - interval '30 days'
  );
