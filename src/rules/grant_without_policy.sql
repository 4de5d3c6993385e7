-- warning: a command that is granted, but that no policy lets through
select
  t.title as object,
  format('%s may %s, but no policy lets a row through.', r.name, lower(g.command)) as detail,
  format(
    'create policy %s_own on %s for %s to %I %s (…); or: revoke %s on %s from %I;',
    lower(g.command), t.title, lower(g.command), r.name,
    case g.command when 'INSERT' then 'with check' else 'using' end,
    lower(g.command), t.title, r.name
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from (
  select distinct q.table_id, q.role_id, q.command from request_right q
) g
join own_table t on t.oid = g.table_id
join request_role r on r.oid = g.role_id
where t.kind in ('r', 'p') and not t.is_partition and t.has_security
  and g.command in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  -- Said of the role that it was granted to, not of each that has its rights as well.
  and not exists (
    select
    from request_right l
    where l.table_id = g.table_id and l.command = g.command and l.role_id <> g.role_id
      and pg_catalog.pg_has_role(g.role_id, l.role_id, 'usage')
  )
  -- Without any policy that is table_without_policies, once.
  and (
    not t.is_exposed
    or exists (select from pg_catalog.pg_policy p where p.polrelid = t.oid)
  )
  and not exists (
    select
    from policy_part p
    join role_reach h on h.role_id = g.role_id and h.grantee = p.role_id
    where p.table_id = t.oid and p.command = g.command and p.is_permissive
  )
