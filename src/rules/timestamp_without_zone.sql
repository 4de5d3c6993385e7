-- warning: a time that is an instant for nobody
select
  c.title as object,
  'It is a timestamp without time zone: which instant that is depends on who reads it.' as detail,
  format(
    'alter table %s alter column %I type timestamptz using %I at time zone ''UTC'';',
    c.table_title, c.name, c.name
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, c.table_id as object_id, c.number::int as sub_id
from own_column c
where c.kind in ('r', 'p', 'f') and not c.is_partition
  and c.type_id in ('timestamp'::regtype, 'timestamp[]'::regtype)
