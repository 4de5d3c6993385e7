-- warning: columns hidden by not granting them
select
  t.title as object,
  format(
    '%s may select some columns only: `select *`, `returning *` and what the API generates fail.',
    case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end
  ) as detail,
  format(
    'Move what is secret to a table of its own, and: grant select on %s to %s;',
    t.title, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from (
  select distinct x.table_id, x.grantee
  from table_grant x
  where x.number > 0 and x.command = 'SELECT'
) g
join own_table t on t.oid = g.table_id
where g.grantee in (select h.grantee from role_reach h)
  and not exists (
    select
    from table_grant w
    where w.table_id = g.table_id and w.number = 0 and w.command = 'SELECT'
      and w.grantee in (g.grantee, 0)
  )
