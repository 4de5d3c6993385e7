--! Previous: sha1:cd57f8cc5d86bc21980ceee29a625727bd9dcadc
--! Hash: sha1:2ab7b52def6aac651d1e7a64f21ae46739e4fb89
--! Message: repeated refreshes

-- What is repeated within the grace gives the token that is current already. It is no attempt: fifty tabs that
-- refresh at once must not use up what the session may refresh in a minute.

create or replace function app_private.refresh_session(
  token_hash bytea,
  successor_hash bytea,
  successor_sealed bytea,
  issuer text,
  audience text,
  client jsonb,
  factor double precision,
  out outcome text,
  out current_sealed bytea,
  out claims jsonb,
  out retry_after int
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_presented app_private.refresh_tokens;
  v_session app_public.sessions;
  v_current app_private.refresh_tokens;
  v_is_repeat boolean;
begin
  select * into v_presented
  from app_private.refresh_tokens t where t.token_hash = refresh_session.token_hash;
  if not found then
    outcome := 'unknown';
    return;
  end if;

  -- Refreshes of one session take turns; each reads what the one before it has committed.
  select * into v_session
  from app_public.sessions s where s.id = v_presented.session_id for update;
  if not found then
    outcome := 'unknown';
    return;
  end if;
  select * into v_presented from app_private.refresh_tokens t where t.id = v_presented.id;
  select * into v_current
  from app_private.refresh_tokens t
  where t.session_id = v_session.id order by t.generation desc limit 1;
  v_is_repeat := v_presented.generation = v_current.generation - 1
    and clock_timestamp() < v_presented.rotated_at + interval '10 seconds';
  if v_is_repeat is not true then
    retry_after := app_private.count_attempt('refresh', v_session.id::text, factor);
    if retry_after > 0 then
      outcome := 'limited';
      return;
    end if;
  end if;

  if v_session.revoked_at is not null then
    outcome := 'revoked';
    return;
  end if;
  if v_session.expires_at <= now()
    or exists (select from app_public.users u where u.id = v_session.user_id and u.deleted_at is not null)
  then
    outcome := 'expired';
    return;
  end if;

  if v_presented.id = v_current.id then
    if v_current.expires_at <= now() then
      outcome := 'expired';
      return;
    end if;
    insert into app_private.refresh_tokens (session_id, generation, token_hash, expires_at)
    values (
      v_session.id,
      v_current.generation + 1,
      successor_hash,
      least(now() + interval '30 days', v_session.expires_at)
    );
    update app_private.refresh_tokens t
    set rotated_at = clock_timestamp(), successor_sealed = refresh_session.successor_sealed
    where t.id = v_current.id;
    -- What an older parent could still have opened is of no use any more.
    update app_private.refresh_tokens t
    set successor_sealed = null
    where t.session_id = v_session.id
      and t.generation < v_current.generation
      and t.successor_sealed is not null;
    update app_public.sessions s set last_used_at = now() where s.id = v_session.id;
    outcome := 'rotated';
  elsif v_is_repeat then
    -- The answer was lost, or two tabs refreshed at once: the same current token again.
    outcome := 'repeated';
    current_sealed := v_presented.successor_sealed;
  else
    perform app_private.revoke_sessions(array[v_session.id], 'refresh_token_reuse');
    perform app_private.log_security_event(
      'refresh_token_reused', v_session.user_id, v_session.id, client
    );
    outcome := 'reused';
    return;
  end if;

  claims := app_private.access_token_claims(v_session.id, issuer, audience);
end;
$$;
