-- error: a role of a request that has the rights of one who may more
with reached as (
  select r.oid, r.name, r.position, g.oid as member_id, g.rolname as member_name
  from request_role r
  join pg_catalog.pg_roles g on pg_catalog.pg_has_role(r.oid, g.oid, 'member')
  join pg_catalog.pg_roles s on s.oid = r.oid and not s.rolsuper
),
owner as (
  select c.relowner as role_id
  from own_table t
  join pg_catalog.pg_class c on c.oid = t.oid
  union
  select p.proowner
  from own_function f
  join pg_catalog.pg_proc p on p.oid = f.oid
)
-- Memberships, of the role itself or of one that it is a member of.
select
  quote_ident(h.member_name) as object,
  format(
    'As a member of %I, %s.', g.rolname,
    string_agg(
      format(
        '%I may all that %s may', h.name,
        case
          when m.roleid in (select o.role_id from owner o) then 'who owns tables and functions'
          when q.oid is not null then 'a role of a request that comes after it'
          else 'a role with rights on the whole server'
        end
      ),
      ', ' order by h.position
    )
  ) as detail,
  format('revoke %I from %I;', g.rolname, h.member_name) as resolution,
  'pg_catalog.pg_authid'::regclass as class_id, h.member_id as object_id, 0 as sub_id
from reached h
join pg_catalog.pg_auth_members m on m.member = h.member_id
join pg_catalog.pg_roles g on g.oid = m.roleid
left join request_role q on q.oid = g.oid and q.position > h.position
where q.oid is not null
  or g.rolsuper or g.rolbypassrls or g.rolcreaterole or g.rolname like 'pg\_%'
  or m.roleid in (select o.role_id from owner o)
group by h.member_id, h.member_name, m.roleid, g.rolname
union all
select
  quote_ident(r.name),
  format(
    'It %s.',
    case
      when g.rolsuper then 'is a superuser'
      when g.rolbypassrls then 'bypasses row-level security'
      else 'may make roles'
    end
  ),
  format('alter role %I nosuperuser nobypassrls nocreaterole;', r.name),
  'pg_catalog.pg_authid'::regclass, r.oid, 0
from request_role r
join pg_catalog.pg_roles g on g.oid = r.oid
where g.rolsuper or g.rolbypassrls or g.rolcreaterole
