-- Roles belong to the whole server, not to one database: they stand outside the numbered migrations.
-- Run by `npm run migrate` before them, and after each `graphile-migrate reset`. Safe to run twice.
-- It needs a role with CREATEROLE once; afterwards nothing here changes anything.

do $$
declare
  v_role text;
begin
  foreach v_role in array array[
    ':DATABASE_ANONYMOUS', ':DATABASE_USER', ':DATABASE_OPERATOR', ':DATABASE_AUTHENTICATOR'
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin noinherit', v_role);
      exception
        -- Another database of this server is being migrated at this very moment.
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;

  -- An operator is a user who may do more: grants and policies of the user hold for them as well.
  if not pg_has_role(':DATABASE_OPERATOR', ':DATABASE_USER', 'usage') then
    execute 'alter role :DATABASE_OPERATOR inherit';
    execute 'grant :DATABASE_USER to :DATABASE_OPERATOR';
  end if;

  -- The authenticator has no right of its own (NOINHERIT): per request it becomes one of the three.
  foreach v_role in array array[':DATABASE_ANONYMOUS', ':DATABASE_USER', ':DATABASE_OPERATOR'] loop
    if not pg_has_role(':DATABASE_AUTHENTICATOR', v_role, 'member') then
      execute format('grant %I to :DATABASE_AUTHENTICATOR', v_role);
    end if;
  end loop;

  -- No database lets everybody in: PUBLIC may have lost CONNECT.
  if not has_database_privilege(':DATABASE_AUTHENTICATOR', ':DATABASE_NAME', 'connect') then
    execute format('grant connect on database %I to :DATABASE_AUTHENTICATOR', ':DATABASE_NAME');
  end if;

  -- Bounds for whatever the API runs, in force behind a pooler as well, where no session can be set.
  if not exists (
    select from pg_catalog.pg_db_role_setting s
    join pg_catalog.pg_roles r on r.oid = s.setrole
    where r.rolname = ':DATABASE_AUTHENTICATOR' and s.setdatabase = 0
  ) then
    execute $q$alter role :DATABASE_AUTHENTICATOR set statement_timeout = '10s'$q$;
    execute $q$alter role :DATABASE_AUTHENTICATOR set lock_timeout = '5s'$q$;
    execute $q$alter role :DATABASE_AUTHENTICATOR set idle_in_transaction_session_timeout = '10s'$q$;
  end if;
end;
$$;
