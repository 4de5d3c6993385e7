-- error: a view that reads its tables with its owner's rights
select
  t.title as object,
  case t.kind
    when 'v' then
      'It reads its tables as its owner, whom their row-level security does not stop.'
    else
      format(
        'A materialized view has no row-level security, and %s may read it: every row of it.',
        r.roles
      )
  end as detail,
  case t.kind
    when 'v' then format('alter view %s set (security_invoker = true);', t.title)
    else
      format('revoke select on %s from %s; and read it through a function.', t.title, r.roles)
  end as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from own_table t
left join lateral (
  select string_agg(distinct q.name, ', ' order by q.name) as roles
  from request_right g
  join request_role q on q.oid = g.role_id
  where g.table_id = t.oid and g.command = 'SELECT'
) r on true
where (
    t.kind = 'v'
    and (t.is_exposed or r.roles is not null)
    and t.oid not in (select v.oid from invoker_view v)
  )
  or (t.kind = 'm' and r.roles is not null)
