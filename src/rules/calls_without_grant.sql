-- error: a policy or default that calls a function which its role may not execute
with
called as (
  select
    'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id,
    format('%s.%I', p.table_title, p.name) as object, h.role_id, c.function_id
  from policy_part p
  join policy_call c on c.policy_id = p.oid
  join role_reach h on h.grantee = p.role_id
  join request_right g
    on g.role_id = h.role_id and g.table_id = p.table_id and g.command = p.command
  union
  -- What is not given is made: by whoever may insert.
  select
    'pg_catalog.pg_class'::regclass, o.table_id, o.number, o.title, g.role_id, d.refobjid
  from own_column o
  join pg_catalog.pg_attrdef f on f.adrelid = o.table_id and f.adnum = o.number
  join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
      and d.refclassid = 'pg_catalog.pg_proc'::regclass
  join request_right g on g.table_id = o.table_id and g.command = 'INSERT'
)
select
  c.object,
  format(
    '%s may not execute %s: whatever leads through here fails for it with "permission denied".',
    string_agg(distinct r.name, ', ' order by r.name), c.function_id::regprocedure
  ) as detail,
  format(
    'grant execute on function %s to %s;', c.function_id::regprocedure,
    string_agg(distinct quote_ident(r.name), ', ' order by quote_ident(r.name))
  ) as resolution,
  c.class_id, c.object_id, c.sub_id
from called c
join request_role r on r.oid = c.role_id
where not pg_catalog.has_function_privilege(c.role_id, c.function_id, 'execute')
  -- Said of the role that may least: what it is granted, those have that have its rights.
  and not exists (
    select
    from called l
    where l.class_id = c.class_id and l.object_id = c.object_id and l.sub_id = c.sub_id
      and l.function_id = c.function_id and l.role_id <> c.role_id
      and pg_catalog.pg_has_role(c.role_id, l.role_id, 'usage')
      and not pg_catalog.has_function_privilege(l.role_id, l.function_id, 'execute')
  )
group by c.class_id, c.object_id, c.sub_id, c.object, c.function_id
