-- warning: something of the API that says nothing of itself
with wanted as (
  select
    t.title as object,
    case t.kind
      when 'v' then 'view'
      when 'm' then 'materialized view'
      when 'f' then 'foreign table'
      else 'table'
    end as kind,
    'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
  from own_table t
  where not t.is_partition
  union all
  select
    c.title, 'column', 'pg_catalog.pg_class'::regclass, c.table_id, c.number::int
  from own_column c
  where c.is_exposed and not c.is_partition and c.name <> 'id'
  union all
  select f.title, f.kind, 'pg_catalog.pg_proc'::regclass, f.oid, 0
  from own_function f
  union all
  select
    format('%I.%I', s.name, y.typname), 'type', 'pg_catalog.pg_type'::regclass, y.oid, 0
  from pg_catalog.pg_type y
  join own_schema s on s.oid = y.typnamespace and s.is_exposed
  left join pg_catalog.pg_class c on c.oid = y.typrelid
  where (y.typtype in ('e', 'd') or c.relkind = 'c')
    and (
      'pg_catalog.pg_type'::regclass, y.oid
    ) not in (select e.class_id, e.object_id from of_an_extension e)
)
select
  w.object,
  format('This %s has no comment: nobody learns from the API what it is.', w.kind) as detail,
  format('comment on %s %s is ''…'';', w.kind, w.object) as resolution,
  w.class_id, w.object_id, w.sub_id
from wanted w
where not exists (
  select
  from described d
  where (d.class_id, d.object_id, d.sub_id) = (w.class_id, w.object_id, w.sub_id)
)
