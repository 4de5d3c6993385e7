-- warning: a policy for a command that its role was never granted
select
  format('%s.%I', p.table_title, p.name) as object,
  format(
    'The policy is for %s, but no role of a request that it is for may %s.',
    coalesce(quote_ident(a.rolname), 'public'),
    string_agg(lower(p.command), ', ' order by p.command)
  ) as detail,
  format(
    'grant %s on %s to %s; or: drop policy %I on %s;',
    string_agg(
      case
        when p.command in ('INSERT', 'UPDATE') then lower(p.command) || ' (…)'
        else lower(p.command)
      end,
      ', ' order by p.command
    ),
    p.table_title, coalesce(quote_ident(a.rolname), 'public'), p.name, p.table_title
  ) as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from policy_part p
left join pg_catalog.pg_roles a on a.oid = p.role_id
-- A restrictive policy grants nothing: it narrows what others let through.
where p.is_permissive
group by p.oid, p.table_title, p.name, p.role_id, a.rolname
-- A policy for all commands needs one of them.
having not bool_or(
  exists (
    select
    from request_right g
    join role_reach h on h.role_id = g.role_id and h.grantee = p.role_id
    where g.table_id = p.table_id and g.command = p.command
  )
  -- A role that is none of a request's, such as one for reports.
  or case
    when p.role_id = 0 then false
    when p.command = 'DELETE' then
      pg_catalog.has_table_privilege(p.role_id, p.table_id, 'delete')
    else pg_catalog.has_any_column_privilege(p.role_id, p.table_id, p.command)
  end
)
