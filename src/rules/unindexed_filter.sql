-- warning: a column that clients may filter and order by, and that no index holds
select
  c.title as object,
  case c.kind
    when 'p' then
      'The table is partitioned, where PostGraphile offers filter and order for every column; no '
        || 'index holds this one.'
    else 'Its tags offer it to filter and orderBy, but no index holds it.'
  end as detail,
  format(
    'create index on %s (%I); or begin its comment with `@behavior -filterBy -orderBy`%s.',
    c.table_title, c.name,
    case c.kind when 'p' then '' else ', without @isIndexed' end
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, c.table_id as object_id, c.number::int as sub_id
from own_column c
cross join lateral (
  select
    -- The last word on each is the one that holds.
    (
      select w.word ~ '^-'
      from regexp_split_to_table(b.behavior, '\s+') with ordinality as w(word, position)
      where w.word ~ '^[+-]?(\*|(\w+:)*(\*|filterBy))$'
      order by w.position desc
      limit 1
    ) as is_filter_off,
    (
      select w.word ~ '^-'
      from regexp_split_to_table(b.behavior, '\s+') with ordinality as w(word, position)
      where w.word ~ '^[+-]?(\*|(\w+:)*(\*|orderBy))$'
      order by w.position desc
      limit 1
    ) as is_order_off
  from (
    select string_agg(g.value, ' ' order by g.position) as behavior
    from tag g
    where g.class_id = 'pg_catalog.pg_class'::regclass and g.object_id = c.table_id
      and g.sub_id = c.number and g.name = 'behavior' and g.is_in_front
  ) b
) s
where c.is_exposed and c.kind in ('r', 'p', 'm') and not c.is_partition
  and exists (
    select
    from request_right g
    where g.table_id = c.table_id and g.number in (0, c.number) and g.command = 'SELECT'
  )
  and (
    not s.is_filter_off
    or not s.is_order_off
    or (
      (s.is_filter_off is null or s.is_order_off is null)
      and (
        c.kind = 'p'
        or exists (
          select
          from tag g
          where g.class_id = 'pg_catalog.pg_class'::regclass and g.object_id = c.table_id
            and g.sub_id = c.number and g.name = 'isIndexed' and g.is_in_front
        )
      )
    )
  )
  -- The table as a whole is out of the API.
  and ('pg_catalog.pg_class'::regclass, c.table_id, 0) not in (
    select a.class_id, a.object_id, a.sub_id from out_of_api a
  )
  and not exists (
    select
    from pg_catalog.pg_index i
    where i.indrelid = c.table_id and i.indisvalid
      and (
        -- At any place: PostgreSQL 18 skips over what is before it.
        c.number = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
        or pg_catalog.pg_get_expr(i.indexprs, i.indrelid) ~ ('\m' || c.name || '\M')
      )
  )
