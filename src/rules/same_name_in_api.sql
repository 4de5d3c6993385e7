-- error: two functions that have one name in the API
with
-- Where the API has it: as a field of a table's rows, as a query or as a mutation.
placed as (
  select
    f.*, case when f.volatility <> 'v' then t.oid end as table_id,
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
      -- A field of a table's rows begins with the table's name.
      case
        when f.volatility <> 'v' and starts_with(f.name, t.name || '_')
          then substring(f.name from length(t.name) + 2)
      end,
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
),
-- As it becomes camelCase: words are told apart by underscores, capitals and digits.
field as (
  select
    p.*,
    substring(p.field_name from '^_*')
      || regexp_replace(
        lower(
          regexp_replace(
            regexp_replace(btrim(p.field_name, '_'), '([0-9]+)', '_\1_', 'g'),
            '([a-z])([A-Z])', '\1_\2', 'g'
          )
        ),
        '_+', '_', 'g'
      )
      || substring(p.field_name from '_*$') as field_key
  from placed p
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
    and o.field_key = f.field_key
group by f.oid, f.title, f.place
union all
-- What the API makes of a table.
select
  f.title,
  format('%s: the API cannot be built with two of this name.', k.taken),
  'Give it another name, or begin its comment with `@name …`, or with `@behavior -*` to have it out of the API.',
  'pg_catalog.pg_proc'::regclass, f.oid, 0
from field f
cross join lateral (
  select format('The column %s is this field', c.title) as taken
  from own_column c
  where c.table_id = f.table_id and c.name = f.field_name
    and ('pg_catalog.pg_class'::regclass, c.table_id, c.number) not in (
      select a.class_id, a.object_id, a.sub_id from out_of_api a
    )
    and exists (
      select
      from request_right g
      where g.table_id = c.table_id and g.command = 'SELECT' and g.number in (0, c.number)
    )
  union all
  select format('%s of %s is this mutation', initcap(m.verb), t.title)
  from own_table t
  cross join (
    values ('create', 'INSERT'), ('update', 'UPDATE'), ('delete', 'DELETE')
  ) as m(verb, command)
  where f.place = 'mutation' and t.is_exposed and f.field_name like m.verb || '\_%'
    -- Of a name that is a plural, its singular.
    and t.name in (
      substring(f.field_name from length(m.verb) + 2) || 's',
      substring(f.field_name from length(m.verb) + 2) || 'es',
      regexp_replace(substring(f.field_name from length(m.verb) + 2), 'y$', 'ies')
    )
    and exists (
      select
      from request_right g
      where g.table_id = t.oid and g.command = m.command
    )
    -- Where its own comment takes no mutation out of the API.
    and not exists (
      select
      from tag b
      where b.class_id = 'pg_catalog.pg_class'::regclass and b.object_id = t.oid and b.sub_id = 0
        and b.name in ('behavior', 'omit') and b.is_in_front
    )
) k
