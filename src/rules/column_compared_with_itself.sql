-- error: a policy that compares a column with itself
select
  format('%s.%I', t.title, p.polname) as object,
  format(
    'It compares %s with itself, which holds for every row: a name in a sub-select is that of its nearest table.',
    string_agg(distinct c.title, ', ' order by c.title)
  ) as detail,
  format('Write the column of the outer table with its name in front: %I.…', t.name) as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from pg_catalog.pg_policy p
join own_table t on t.oid = p.polrelid
cross join lateral (
  select m.found[1] as title
  from (
    values
      (pg_catalog.pg_get_expr(p.polqual, p.polrelid)),
      (pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  ) as v(expression)
  cross join lateral regexp_matches(
    -- Without texts.
    regexp_replace(v.expression, '''(?:[^'']|'''')*''', ' ', 'g'),
    '(?:^|[\s(])((?:[\w$]+|"(?:[^"]|"")+")(?:\.(?:[\w$]+|"(?:[^"]|"")+"))*) (?:=|<=|>=|<>|<|>|IS NOT DISTINCT FROM|IS DISTINCT FROM) \1(?=[\s)]|$)',
    'g'
  ) as m(found)
  where m.found[1] !~ '^[0-9]|^(?:true|false|NULL)$'
) c
group by p.oid, t.title, t.name, p.polname
