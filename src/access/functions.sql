-- Functions and procedures that somebody besides their owner may execute.
with grantee as (
  select r.oid, r.rolname as name
  from pg_roles r
  where not r.rolsuper and r.rolname not like 'pg\_%'
  union all
  -- Everybody, as PostgreSQL itself names them.
  select 0, 'public'
)
select
  p.oid::regprocedure::text as name,
  p.prosecdef as is_definer,
  case
    when has_function_privilege('public', p.oid, 'execute') then array['public']
    else array_agg(g.name::text order by g.name)
  end as roles,
  bool_or(has_schema_privilege(g.name, n.oid, 'usage')) as is_reachable
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join grantee g on g.oid = 0 or not pg_has_role(g.name, p.proowner, 'usage')
where n.nspname !~ '^(pg_|information_schema$)'
  and has_function_privilege(g.name, p.oid, 'execute')
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  )
group by p.oid, n.oid
order by p.oid::regprocedure::text collate "C"
