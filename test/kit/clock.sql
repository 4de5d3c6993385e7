-- The clock of one test database, so that it can stand still: now() and its kin get a body in SQL. They keep their
-- oids, so that defaults, policies and functions with a pinned search_path read it, too: the planner puts the
-- body in their place. Superusers only; other databases of the server keep their clocks.

-- A new schema makes each session forget its plans, which no change of a built-in function would.
create schema test_clock;
create table test_clock.clock (frozen_at timestamptz);
insert into test_clock.clock values (null);

-- Whoever asks for the time may read this.
create function test_clock.frozen_at() returns timestamptz
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return (select c.frozen_at from test_clock.clock c);
end;
$$;

create function test_clock.now() returns timestamptz
language internal stable parallel safe strict as 'now';
create function test_clock.statement_timestamp() returns timestamptz
language internal stable parallel safe strict as 'statement_timestamp';
create function test_clock.clock_timestamp() returns timestamptz
language internal volatile parallel safe strict as 'clock_timestamp';

create or replace function pg_catalog.now() returns timestamptz
language sql stable parallel safe
return coalesce(test_clock.frozen_at(), test_clock.now());
create or replace function pg_catalog.transaction_timestamp() returns timestamptz
language sql stable parallel safe
return coalesce(test_clock.frozen_at(), test_clock.now());
create or replace function pg_catalog.statement_timestamp() returns timestamptz
language sql stable parallel safe
return coalesce(test_clock.frozen_at(), test_clock.statement_timestamp());
create or replace function pg_catalog.clock_timestamp() returns timestamptz
language sql volatile parallel safe
return coalesce(test_clock.frozen_at(), test_clock.clock_timestamp());
