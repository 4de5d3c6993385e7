-- warning: a function or view of the API that nobody was granted
select
  w.object,
  format('No role of a request may %s it, so the API has nothing of it.', w.right_name) as detail,
  format(
    'grant %s on %s to …; or move it out of the API.',
    case w.right_name when 'call' then 'execute' else 'select' end,
    case w.right_name when 'call' then w.kind || ' ' || w.object else w.object end
  ) as resolution,
  w.class_id, w.object_id, 0 as sub_id
from (
  select
    f.title as object, f.kind, 'call' as right_name,
    'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id
  from own_function f
  where f.is_exposed and not f.is_trigger and not f.is_event_trigger
    and not exists (
      select
      from aclexplode(f.rights) a
      join role_reach r using (grantee)
      where a.privilege_type = 'EXECUTE'
    )
  union all
  select t.title, 'view', 'read', 'pg_catalog.pg_class'::regclass, t.oid
  from own_table t
  -- What a table lacks is said by table_without_policies and policy_without_grant.
  where t.is_exposed and t.kind in ('v', 'm', 'f')
    and not exists (select from request_right g where g.table_id = t.oid)
) w
