-- error: a security definer function that looks names up where its caller says
select
  f.title as object,
  case
    when p.path is null then
      'It runs with its owner''s rights and its caller''s search_path: who calls can make a name '
        || 'mean something else.'
    when p.path ~ '\$user' then
      format('Its search_path (%s) names "$user", a schema of whoever calls.', p.path)
    when p.path ~ '(^|, )"?pg_temp"?,' then
      format(
        'Its search_path (%s) names pg_temp before its end: a temporary table can stand in for a '
          || 'real one.',
        p.path
      )
    else
      format(
        'Its search_path (%s) does not end with pg_temp, which is then searched first: a temporary '
          || 'table can stand in for a real one.',
        p.path
      )
  end as detail,
  format('alter %s %s set search_path = pg_catalog, public, pg_temp;', f.kind, f.title)
    as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from own_function f
left join lateral (
  select substring(s.setting from '^search_path=(.*)$') as path
  from unnest(f.settings) as s(setting)
  where s.setting like 'search\_path=%'
) p on true
where f.is_definer
  and (
    p.path is null
    or p.path ~ '\$user'
    or p.path ~ '(^|, )"?pg_temp"?,'
    -- An empty path: every name in the body is qualified, or the function fails.
    or (p.path !~ '(^|, )"?pg_temp"?$' and p.path not in ('""', ''))
  )
