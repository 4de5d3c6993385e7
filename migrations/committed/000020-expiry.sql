--! Previous: sha1:088d743fdb2b793d3d49384a6d545e4199df5cd3
--! Hash: sha1:65f5dd63c367db00cb539db23a8af8245412d49b
--! Message: expiry

-- What has had its time is deleted, a little at a time. By the task delete_expired, each hour.

create or replace function app_private.delete_expired(batch_size int) returns int
language plpgsql volatile
as $$
declare
  v_count int;
  v_total int = 0;
begin
  delete from app_public.sessions s
  where s.id in (
    select o.id from app_public.sessions o
    where o.expires_at < now() - interval '7 days' or o.revoked_at < now() - interval '90 days'
    limit batch_size
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  delete from app_private.refresh_tokens t
  where t.id in (
    select o.id from app_private.refresh_tokens o
    where o.expires_at < now() - interval '7 days' limit batch_size
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  delete from app_private.user_tokens t
  where (t.user_id, t.purpose) in (
    select o.user_id, o.purpose from app_private.user_tokens o
    where o.expires_at < now() - interval '1 day' limit batch_size
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  delete from app_private.attempts a
  where (a.kind, a.key) in (
    select o.kind, o.key from app_private.attempts o
    where o.last_attempt_at < now() - interval '1 day' limit batch_size
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  delete from app_private.security_events e
  where e.id in (
    select o.id from app_private.security_events o
    where o.created_at < now() - interval '90 days' limit batch_size
  );
  get diagnostics v_count = row_count;
  return v_total + v_count;
end;
$$;
comment on function app_private.delete_expired(int) is
  'Deletes at most batch_size rows of each: sessions, refresh tokens, proofs, attempts, security events of more than 90 days. Returns how many; 0 means done.';
