-- warning: a foreign key that no index supports
select
  format('%I.%I.%I', n.nspname, c.relname, k.conname) as object,
  format(
    'No index begins with %s: each delete in %s, and each join from there, reads this whole table.',
    x.columns, k.confrelid::regclass
  ) as detail,
  format('create index on %I.%I (%s);', n.nspname, c.relname, x.columns) as resolution,
  'pg_catalog.pg_constraint'::regclass as class_id, k.oid as object_id, 0 as sub_id
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join own_table t on t.oid = c.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select string_agg(quote_ident(a.attname), ', ' order by u.position) as columns
  from unnest(k.conkey) with ordinality as u(number, position)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
) x
where k.contype = 'f' and k.conparentid = 0
  and not exists (
    select
    from pg_catalog.pg_index i
    where i.indrelid = k.conrelid and i.indisvalid
      -- indkey counts from 0. Nulls refer to nothing: an index may leave them out.
      and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
      and (
        i.indpred is null
        or pg_catalog.pg_get_expr(i.indpred, i.indrelid) = format('(%s IS NOT NULL)', x.columns)
      )
  )
