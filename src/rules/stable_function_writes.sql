-- error: a function that says that it only reads, and writes
select
  f.title as object,
  format(
    'It is %s, and has %s: PostgreSQL refuses that in such a function.',
    case f.volatility when 's' then 'STABLE' else 'IMMUTABLE' end, upper(w.found[1])
  ) as detail,
  format('alter %s %s volatile; in the API it becomes a mutation.', f.kind, f.title) as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from own_function f
-- Without texts in dollar quotes and comments of several lines, each as short as it can be.
cross join lateral (
  select
    regexp_replace(
      regexp_replace(f.body, '\$(\w*?)\$.*?\$\1\$', ' ', 'g'), '/\*.*?\*/', ' ', 'g'
    ) as code
) c
-- Without comments, texts and names in quotes.
cross join lateral (
  select
    regexp_replace(
      regexp_replace(c.code, '--[^\n]*|''(?:[^'']|'''')*''', ' ', 'g'), '"(?:[^"]|"")*"', 'x', 'g'
    ) as code
) u
cross join lateral (
  select
    coalesce(
      regexp_match(
        u.code,
        '\m(insert\s+into|delete\s+from|merge\s+into|update\s+(?:only\s+)?[\w.]+\s+(?:as\s+)?(?:\w+\s+)??set'
          || '|for\s+(?:no\s+key\s+)?update|for\s+(?:key\s+)?share)\M',
        'i'
      ),
      -- A text that is run.
      regexp_match(
        regexp_replace(c.code, '(^|\n)\s*--[^\n]*', ' ', 'g'),
        '\mexecute\s+(?:format\s*\(\s*)?''\s*(insert\s+into|delete\s+from|merge\s+into|update)\M', 'i'
      )
    ) as found
) w
where f.volatility in ('s', 'i') and f.language in ('sql', 'plpgsql') and w.found is not null
