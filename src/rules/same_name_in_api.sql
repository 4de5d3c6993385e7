-- error: two functions that have one name in the API
with
-- Where the API has it: as a field of a table's rows, as a query or as a mutation.
field as (
  select
    f.*,
    case
      when t.oid is not null and f.volatility <> 'v' then t.oid::text
      when f.volatility = 'v' then 'mutation'
      else 'query'
    end as place,
    coalesce(
      (
        select g.value
        from tag g
        where g.class_id = 'pg_catalog.pg_proc'::regclass and g.object_id = f.oid and g.name = 'name'
          and g.is_in_front
        order by g.position desc
        limit 1
      ),
      f.name
    ) as field_name
  from own_function f
  join pg_catalog.pg_proc p on p.oid = f.oid
  left join own_table t
    on t.oid = (select y.typrelid from pg_catalog.pg_type y where y.oid = p.proargtypes[0])
  where f.is_exposed and f.kind = 'function' and not f.is_trigger and not f.is_event_trigger
    -- One that nobody may call takes the name of the other as well.
    and ('pg_catalog.pg_proc'::regclass, f.oid) not in (
      select a.class_id, a.object_id from out_of_api a
    )
)
select
  f.title as object,
  format('The API has one %s of this name, and %s is it too: which of them it has, nobody said.',
    case f.place when 'mutation' then 'mutation' when 'query' then 'query' else 'field' end,
    string_agg(o.title, ', ' order by o.title)) as detail,
  'Give it another name, or begin its comment with `@name …`, or with `@behavior -*` to have it out of the API.'
    as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from field f
join field o
  on o.oid <> f.oid and o.place = f.place
    and replace(lower(o.field_name), '_', '') = replace(lower(f.field_name), '_', '')
group by f.oid, f.title, f.place
