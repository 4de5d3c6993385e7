-- What reads the clock in a way that cannot be frozen, as text: keywords are no functions.
with ours as (
  select n.oid
  from pg_catalog.pg_namespace n
  where n.nspname like 'app\_%'
),
code(object, text) as (
  select p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
  from pg_catalog.pg_proc p
  where p.pronamespace in (select oid from ours) and p.prokind in ('f', 'p')
  union all
  select format('%s.%s', d.adrelid::regclass, d.adnum), pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  from pg_catalog.pg_attrdef d
  join pg_catalog.pg_class c on c.oid = d.adrelid
  where c.relnamespace in (select oid from ours)
  union all
  select
    format('%s on %s', p.polname, p.polrelid::regclass),
    concat_ws(
      ' ',
      pg_catalog.pg_get_expr(p.polqual, p.polrelid),
      pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    )
  from pg_catalog.pg_policy p
  join pg_catalog.pg_class c on c.oid = p.polrelid
  where c.relnamespace in (select oid from ours)
  union all
  select c.oid::regclass::text, pg_catalog.pg_get_viewdef(c.oid)
  from pg_catalog.pg_class c
  where c.relnamespace in (select oid from ours) and c.relkind in ('v', 'm')
)
select
  c.object,
  lower(
    substring(
      regexp_replace(c.text, '--[^\n]*', '', 'g')
      from '(?i)\m(current_date|current_timestamp|current_time|localtimestamp|localtime)\M'
    )
  ) as keyword
from code c
where regexp_replace(c.text, '--[^\n]*', '', 'g')
  ~* '\m(current_date|current_timestamp|current_time|localtimestamp|localtime)\M'
order by 1
