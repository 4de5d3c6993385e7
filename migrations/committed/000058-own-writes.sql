--! Previous: sha1:8faf1f2305681c62d3a46979d5b2d8be9b342ad3
--! Hash: sha1:cd57f8cc5d86bc21980ceee29a625727bd9dcadc
--! Message: own-writes

-- For reads from a replica (READ_DATABASE_URL): who has just changed something reads it there only once the
-- replica has replayed it. One row a user; unlogged, because it is of use for a minute and must cost no flush.
-- No foreign key: its check would lock, and so write, the user's row.

create unlogged table if not exists app_private.last_writes (
  user_id int not null,
  transaction_id xid8 not null,
  written_at timestamptz not null default now(),
  constraint last_writes_pkey primary key (user_id)
);
alter table app_private.last_writes enable row level security;
comment on table app_private.last_writes is
  'A transaction that was committed after the last change of each user. No policy, no grant: definer functions only.';
comment on column app_private.last_writes.transaction_id is
  'Whoever sees what it did sees all that the user changed before.';

create or replace function app_private.note_write(user_id int) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into app_private.last_writes as w (user_id, transaction_id)
  values (note_write.user_id, pg_current_xact_id())
  on conflict on constraint last_writes_pkey
  do update set transaction_id = excluded.transaction_id, written_at = excluded.written_at;
$$;
comment on function app_private.note_write(int) is
  'After a change of this user was committed, in a transaction of its own: the last to commit is the last to be noted.';
grant execute on function app_private.note_write(int) to :DATABASE_AUTHENTICATOR;

create or replace function app_private.verify_reader(session_id int, user_id int, role text)
returns xid8
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  perform app_private.verify_session(session_id, user_id, role);
  return (
    select w.transaction_id from app_private.last_writes w
    where w.user_id = verify_reader.user_id and w.written_at > now() - interval '1 minute'
  );
end;
$$;
comment on function app_private.verify_reader(int, int, text) is
  'verify_session, on the primary, for who is to read from a replica. Returns what the replica must have replayed, if anything: a replica that is a minute behind is not read from at all.';
grant execute on function app_private.verify_reader(int, int, text) to :DATABASE_AUTHENTICATOR;

create or replace function app_private.require_replayed(transaction_id xid8) returns void
language plpgsql volatile set search_path = pg_catalog, public, pg_temp
as $$
begin
  -- Its status can be asked only of one that has begun here; what runs is not committed yet.
  if transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
    or pg_xact_status(transaction_id) = 'in progress'
  then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = 'This replica has not replayed the reader''s own change yet.';
  end if;
end;
$$;
comment on function app_private.require_replayed(xid8) is
  'On a replica: raises unless what this transaction wrote is seen by the statements that follow.';
grant execute on function app_private.require_replayed(xid8) to :DATABASE_AUTHENTICATOR;
