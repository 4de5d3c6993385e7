-- error: an audience that cannot be sent to
select
  a.object,
  case
    when a.kind = 'function' then
      'It is in app_audiences, but is no function without arguments that returns setof int.'
    else 'It is in app_audiences, but has no column user_id of the type int.'
  end as detail,
  case
    when a.kind = 'function' then
      'Let it return setof int, the ids of users, and take no arguments; or move it to another schema.'
    else 'Name the column with the ids of users user_id, of the type int; or move it to another schema.'
  end as resolution,
  a.class_id, a.object_id, 0 as sub_id
from (
  select
    t.title as object, 'view' as kind, 'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id
  from own_table t
  where t.schema_name = 'app_audiences' and t.kind in ('v', 'm', 'r')
    and not exists (
      select
      from own_column c
      where c.table_id = t.oid and c.name = 'user_id' and c.type_id = 'pg_catalog.int4'::regtype
    )
  union all
  select f.title, 'function', 'pg_catalog.pg_proc'::regclass, f.oid
  from own_function f
  join pg_catalog.pg_proc p on p.oid = f.oid
  where f.schema_name = 'app_audiences' and not f.is_trigger
    and not (p.pronargs = 0 and p.proretset and p.prorettype = 'pg_catalog.int4'::regtype)
) a
