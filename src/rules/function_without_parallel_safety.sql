-- warning: a reading function left PARALLEL UNSAFE
select
  f.title as object,
  format(
    'It is %s and PARALLEL UNSAFE, which is the default: a query that calls it has one process.',
    case f.volatility when 'i' then 'IMMUTABLE' when 's' then 'STABLE' else 'VOLATILE' end
  ) as detail,
  format('alter %s %s parallel safe;', f.kind, f.title) as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from own_function f
where f.parallel = 'u' and f.kind = 'function' and not f.is_trigger and not f.is_event_trigger
  and (
    f.oid in (select q.function_id from policy_call q)
    or (
      f.volatility in ('i', 's')
      and exists (
        select
        from aclexplode(f.rights) a
        where a.grantee in (select h.grantee from role_reach h)
      )
    )
  )
