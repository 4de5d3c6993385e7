-- error: a policy or view that reads what its role may not
with
-- What is read, by column (0: no column in particular), each with the roles of a request that come by there.
reading as (
  select distinct
    'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id,
    format('%s.%I', p.table_title, p.name) as object, h.role_id, d.refobjid as table_id,
    d.refobjsubid as number
  from policy_part p
  join role_reach h on h.grantee = p.role_id
  join request_right g
    on g.role_id = h.role_id and g.table_id = p.table_id and g.command = p.command
  join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> p.table_id
  union
  select
    'pg_catalog.pg_class'::regclass, t.oid, t.title, g.role_id, r.table_id, r.number
  from own_table t
  join request_right g on g.table_id = t.oid and g.command = 'SELECT'
  join view_read r on r.view_id = t.oid
)
select
  r.object,
  format(
    '%s may not select %s: whatever leads through here fails for it with "permission denied".',
    q.name, string_agg(w.title, ', ' order by w.title)
  ) as detail,
  format(
    '%s; or let a security definer function answer.',
    string_agg(format('grant select on %s to %I', w.table_title, q.name), '; ' order by w.title)
  ) as resolution,
  r.class_id, r.object_id, 0 as sub_id
from (
  select distinct on (d.object_id, d.role_id, d.table_id) d.*
  from reading d
  join pg_catalog.pg_class c on c.oid = d.table_id and c.relkind in ('r', 'p', 'v', 'm', 'f')
  where not case
    when d.number = 0 then
      pg_catalog.has_any_column_privilege(d.role_id, d.table_id, 'select')
    else pg_catalog.has_column_privilege(d.role_id, d.table_id, d.number::int2, 'select')
  end
    -- Said of the role that may least: what it is granted, those have that have its rights.
    and not exists (
      select
      from reading l
      where l.object_id = d.object_id and l.table_id = d.table_id and l.role_id <> d.role_id
        and pg_catalog.pg_has_role(d.role_id, l.role_id, 'usage')
    )
  order by d.object_id, d.role_id, d.table_id, d.number
) r
join request_role q on q.oid = r.role_id
cross join lateral (
  select
    format('%I.%I', n.nspname, c.relname) as table_title,
    format('%I.%I', n.nspname, c.relname)
      || coalesce('.' || quote_ident(a.attname), '') as title
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = r.number and r.number > 0
  where c.oid = r.table_id
) w
group by r.object, r.class_id, r.object_id, q.name
