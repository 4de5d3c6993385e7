-- Policies, for each command that they are about.
select
  p.polrelid::int as table_oid, p.polname as name, p.polpermissive as is_permissive, c.name as command,
  case
    when p.polroles = '{0}' then array['public']
    else array(select r.rolname::text from pg_roles r where r.oid = any (p.polroles) order by r.rolname)
  end as roles,
  pg_get_expr(p.polqual, p.polrelid) as seen,
  -- Without a check of its own a new row is held to what may be seen.
  case
    when c.name in ('insert', 'update')
      then coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid))
  end as written
from pg_policy p
join (values ('r', 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) as c(key, name)
  on p.polcmd in (c.key::"char", '*')
order by p.polrelid, p.polpermissive desc, p.polname
