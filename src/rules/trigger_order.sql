-- warning: triggers whose order nobody has said
with own_trigger as (
  select
    g.oid, g.tgname as name, t.title as table_title, t.oid as table_id,
    substring(g.tgname from '^_([0-9]{3})_.') as number, e.event,
    -- Row or statement; before, after or instead of.
    (g.tgtype & 1, g.tgtype & 66) as moment
  from pg_catalog.pg_trigger g
  join own_table t on t.oid = g.tgrelid
  join (
    values (4, 'insert'), (8, 'delete'), (16, 'update'), (32, 'truncate')
  ) as e(bit, event) on g.tgtype & e.bit <> 0
  where not g.tgisinternal and g.tgparentid = 0
)
select distinct
  format('%s.%I', o.table_title, o.name) as object,
  'Its name does not begin with a number (_100_…): triggers run in the order of their names.'
    as detail,
  format('alter trigger %I on %s rename to _500_%s;', o.name, o.table_title, o.name)
    as resolution,
  'pg_catalog.pg_trigger'::regclass as class_id, o.oid as object_id, 0 as sub_id
from own_trigger o
where o.number is null
union all
select
  format('%s.%I', o.table_title, o.name),
  format(
    'It has the number of %I, at the same %s: which one runs first is an accident of names.',
    min(b.name), string_agg(distinct o.event, ', ' order by o.event)
  ),
  format('alter trigger %I on %s rename to …; with a number of its own.', o.name, o.table_title),
  'pg_catalog.pg_trigger'::regclass, o.oid, 0
from own_trigger o
join own_trigger b on b.table_id = o.table_id and b.event = o.event and b.moment = o.moment
  and b.number = o.number and b.name < o.name
group by o.oid, o.table_title, o.name
