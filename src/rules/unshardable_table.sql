-- warning: a table of a user that Citus could not distribute by that user
select
  t.title as object,
  format(
    'Without %I: %s. A unique key is checked within a shard only, so Citus refuses these.',
    s.name, string_agg(quote_ident(x.relname), ', ' order by x.relname)
  ) as detail,
  format(
    'Put %I into these keys, such as (%I, id); or say in the table''s comment why it stays whole.',
    s.name, s.name
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from own_table t
join sharding_column s on true
join own_column c on c.table_id = t.oid and c.name = s.name
join pg_catalog.pg_index i on i.indrelid = t.oid and (i.indisunique or i.indisexclusion)
join pg_catalog.pg_class x on x.oid = i.indexrelid
where t.kind in ('r', 'p') and not t.is_partition
  and c.number <> all ((i.indkey::int2[])[0:i.indnkeyatts - 1])
group by t.title, s.name, t.oid
