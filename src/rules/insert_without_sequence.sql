-- error: a default from a sequence that who inserts may not use
select
  c.title as object,
  format(
    '%s may insert, but not use %s, from which the default comes: an insert that leaves it out fails.',
    string_agg(distinct r.name, ', '), s.title
  ) as detail,
  format(
    'grant usage on sequence %s to %s;', s.title,
    string_agg(distinct quote_ident(r.name), ', ')
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, c.table_id as object_id, c.number::int as sub_id
from own_column c
join pg_catalog.pg_attrdef f on f.adrelid = c.table_id and f.adnum = c.number
join pg_catalog.pg_depend d
  on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass
join (
  select q.oid, format('%I.%I', n.nspname, q.relname) as title
  from pg_catalog.pg_class q
  join pg_catalog.pg_namespace n on n.oid = q.relnamespace
  where q.relkind = 'S'
) s on s.oid = d.refobjid
join request_right g on g.table_id = c.table_id and g.command = 'INSERT'
join request_role r on r.oid = g.role_id
where not c.is_partition
  and not pg_catalog.has_sequence_privilege(r.oid, s.oid, 'usage, update')
group by c.title, c.table_id, c.number, s.title
