-- error: a table whose rows are reached through its parent, past its own grants and policies
select
  format('%I.%I', n.nspname, c.relname) as object,
  format(
    '%s may reach its rows through %s, by the grants and policies of that alone.', r.roles, t.title
  ) as detail,
  format('alter table %I.%I no inherit %s;', n.nspname, c.relname, t.title) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, c.oid as object_id, 0 as sub_id
from own_table t
join pg_catalog.pg_inherits i on i.inhparent = t.oid
-- A partition is its parent's: nobody thinks that it holds back anything by itself.
join pg_catalog.pg_class c on c.oid = i.inhrelid and not c.relispartition
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select string_agg(distinct q.name, ', ' order by q.name) as roles
  from request_right g
  join request_role q on q.oid = g.role_id
  where g.table_id = t.oid and g.command in ('SELECT', 'UPDATE', 'DELETE')
) r
where r.roles is not null
