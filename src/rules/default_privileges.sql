-- error: rights that clients have on whatever is made later
select
  format(
    'default privileges of %I%s', r.rolname, coalesce(' in schema ' || quote_ident(n.nspname), '')
  ) as object,
  format(
    '%s may %s whatever %s this role makes.',
    case when a.grantee = 0 then 'PUBLIC' else a.grantee::regrole::text end,
    string_agg(lower(a.privilege_type), ', ' order by a.privilege_type), k.kind
  ) as detail,
  format(
    'alter default privileges for role %I%s revoke %s on %s from %s;', r.rolname,
    coalesce(' in schema ' || quote_ident(n.nspname), ''),
    string_agg(lower(a.privilege_type), ', ' order by a.privilege_type), k.kind,
    case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
  ) as resolution,
  'pg_catalog.pg_default_acl'::regclass as class_id, d.oid as object_id, 0 as sub_id
from pg_catalog.pg_default_acl d
join pg_catalog.pg_roles r on r.oid = d.defaclrole
join (
  values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions'), ('n', 'schemas')
) as k(letter, kind) on k.letter = d.defaclobjtype::text
left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) a
where (d.defaclnamespace = 0 or d.defaclnamespace in (select s.oid from own_schema s))
  and a.grantee <> d.defaclrole
  and a.grantee in (select h.grantee from role_reach h)
group by d.oid, r.rolname, n.nspname, k.kind, a.grantee
union all
-- Where nothing is said of functions, PUBLIC may execute them.
select
  format('default privileges of %I', r.rolname),
  'PUBLIC may execute whatever functions this role makes, as PostgreSQL has it unless told otherwise.',
  format('alter default privileges for role %I revoke execute on functions from public;', r.rolname),
  'pg_catalog.pg_authid'::regclass, r.oid, 0
from pg_catalog.pg_roles r
where r.oid in (
    select n.nspowner
    from own_schema s
    join pg_catalog.pg_namespace n on n.oid = s.oid
    where s.is_exposed
  )
  and not exists (
    select
    from pg_catalog.pg_default_acl d
    where d.defaclrole = r.oid and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
  )
