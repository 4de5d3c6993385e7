-- warning: a function left VOLATILE that seems to change nothing
with
-- What changes something, waits, or answers differently each time, as words of a body.
reading as (
  select f.*, regexp_replace(f.body, '--[^\n]*|/\*.*?\*/', ' ', 'g') as code
  from own_function f
  where f.volatility = 'v' and f.kind = 'function' and not f.is_trigger and not f.is_event_trigger
    and f.language in ('sql', 'plpgsql')
),
harmless as (
  select r.*
  from reading r
  where r.code !~* (
      '\m(insert|update|delete|merge|truncate|create|alter|drop|grant|revoke|copy|lock|notify'
      || '|listen|execute|perform|call|raise|share|commit|rollback|refresh|set|reset)\M'
    )
    and not exists (
      select
      from regexp_matches(r.code, '([a-z_][a-z0-9_]*)\s*\(', 'gi') as m(word)
      join pg_catalog.pg_proc p on p.proname = lower(m.word[1]) and p.provolatile = 'v'
      where p.oid <> r.oid
    )
)
select
  f.title as object,
  'A policy calls it, and it is VOLATILE: it runs for each row, and no index helps.' as detail,
  format('alter %s %s stable;', f.kind, f.title) as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from own_function f
where f.volatility = 'v' and f.oid in (select q.function_id from policy_call q)
union all
select
  h.title,
  'It is VOLATILE, which is the default, but only reads: in the API it is a mutation, in a '
    || 'condition it runs for each row.',
  format('alter %s %s stable;', h.kind, h.title),
  'pg_catalog.pg_proc'::regclass, h.oid, 0
from harmless h
where h.is_exposed and h.returns <> 'void'::regtype
  and h.oid not in (select q.function_id from policy_call q)
