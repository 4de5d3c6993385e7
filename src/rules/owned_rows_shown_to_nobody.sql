-- error: a policy that shows the rows of all users to who is not logged in
select
  format('%s.%I', p.table_title, p.name) as object,
  format(
    'Its rows belong to somebody (%s), and %s sees all of them: nobody needs to log in.',
    (
      select string_agg(quote_ident(o.name), ', ' order by o.name)
      from owner_column o
      where o.table_id = p.table_id
    ),
    string_agg(distinct r.name, ', ' order by r.name)
  ) as detail,
  format(
    'alter policy %I on %s to …; or say in its comment why everybody may see them.',
    p.name, p.table_title
  ) as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from policy_part p
join pg_catalog.pg_policy y on y.oid = p.oid
join role_reach h on h.grantee = p.role_id
join request_role r on r.oid = h.role_id and r.is_nobody
join request_right g
  on g.table_id = p.table_id and g.role_id = r.oid and g.command = p.command
where p.is_permissive and p.command = 'SELECT'
  and p.table_id in (select o.table_id from owner_column o)
  and (
    -- Neither the row nor who asks goes into it.
    coalesce(y.polqual::text, '') !~ '\{(VAR|FUNCEXPR|SUBLINK|SQLVALUEFUNCTION) '
    -- Or it is enough that nobody asks: a function without arguments, such as current_user_id(), is null.
    or pg_catalog.pg_get_expr(y.polqual, y.polrelid)
      ~ '(^\(*| OR \(*)\(( SELECT )?[\w."]+\(\)( AS [\w"]+\))? IS NULL\)*( OR |$)'
  )
  and not exists (
    select
    from policy_part n
    where n.table_id = p.table_id and n.command = 'SELECT' and not n.is_permissive
      and n.role_id in (select x.grantee from role_reach x where x.role_id = r.oid)
  )
group by p.oid, p.table_id, p.table_title, p.name
