-- Roles that may use a schema here, and are no superuser and no part of PostgreSQL.
select *
from (
  select
    r.rolname as role,
    array_remove(
      array[
        case when r.rolbypassrls then 'bypasses row-level security' end,
        case when r.rolcreaterole then 'creates roles' end,
        case when r.rolcanlogin then 'logs in' end
      ],
      null
    ) as attributes,
    array(
      select g.rolname::text
      from pg_auth_members m
      join pg_roles g on g.oid = m.roleid
      where m.member = r.oid and m.inherit_option and not g.rolname like 'pg\_%'
      order by g.rolname
    ) as inherits,
    array(
      select g.rolname::text
      from pg_auth_members m
      join pg_roles g on g.oid = m.roleid
      where m.member = r.oid and m.set_option and not m.inherit_option and not g.rolname like 'pg\_%'
      order by g.rolname
    ) as becomes,
    array(
      select n.nspname::text
      from pg_namespace n
      where n.nspname !~ '^(pg_|information_schema$)'
        and has_schema_privilege(r.oid, n.oid, 'usage')
        and not pg_has_role(r.oid, n.nspowner, 'usage')
      order by n.nspname
    ) as schemas
  from pg_roles r
  where not r.rolsuper and r.rolname not like 'pg\_%'
    -- Who owns the database may do all of this.
    and r.oid <> (select d.datdba from pg_database d where d.datname = current_database())
) as named
-- Others are of this server, not of this database.
where schemas <> '{}'
order by role
