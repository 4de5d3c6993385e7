--! Previous: sha1:3cca41bfc0e7ee78a90fa98c487cbec736d65f7c
--! Hash: sha1:c6e2fbdae50c9f86ad3bd0387b6a2d279d4798b5
--! Message: expiry by kind

-- What expires, as a list: another kind is another line.

create or replace function app_private.delete_expired(batch_size int) returns int
language plpgsql volatile
as $$
declare
  v_kind record;
  v_count int;
  v_total int = 0;
begin
  for v_kind in
    select * from (
      values
        ('app_public.sessions', $c$expires_at < now() - interval '7 days'$c$),
        ('app_public.sessions', $c$revoked_at < now() - interval '90 days'$c$),
        ('app_private.refresh_tokens', $c$expires_at < now() - interval '7 days'$c$),
        ('app_private.user_tokens', $c$expires_at < now() - interval '1 day'$c$),
        ('app_private.attempts', $c$last_attempt_at < now() - interval '1 day'$c$),
        ('app_private.used_sign_in_states', $c$expires_at < now()$c$),
        ('app_private.sign_in_codes', $c$expires_at < now()$c$),
        ('app_private.data_deletions', $c$created_at < now() - interval '1 year'$c$),
        ('app_private.security_events', $c$created_at < now() - interval '90 days'$c$)
    ) as k(of_table, expired)
  loop
    execute format(
      'delete from %1$s where ctid = any (array(select ctid from %1$s where %2$s limit $1))',
      v_kind.of_table,
      v_kind.expired
    )
    using batch_size;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end;
$$;
comment on function app_private.delete_expired(int) is
  'Deletes at most batch_size rows of each: sessions, refresh tokens, proofs, attempts, used states, sign-in codes, confirmations of data deletions, security events of more than 90 days. Returns how many; 0 means done.';
