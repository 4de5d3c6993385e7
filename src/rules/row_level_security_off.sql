-- error: a table without row-level security
select
  t.title as object,
  case
    when r.roles is null then
      'Row-level security is off: the first grant would show every row to everybody it names.'
    else format('Row-level security is off: %s may reach every row.', r.roles)
  end as detail,
  format('alter table %s enable row level security;', t.title) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from own_table t
left join lateral (
  select string_agg(distinct q.name, ', ' order by q.name) as roles
  from request_right g
  join request_role q on q.oid = g.role_id
  where g.table_id = t.oid
) r on true
where t.kind in ('r', 'p') and not t.has_security
