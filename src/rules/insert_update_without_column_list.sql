-- warning: clients may write every column, those that are added later included
select
  t.title as object,
  format(
    '%s may %s every column, ids, owners and whatever is added later included.',
    case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, lower(g.command)
  ) as detail,
  format(
    'revoke %1$s on %2$s from %3$s; grant %1$s (…) on %2$s to %3$s;',
    lower(g.command), t.title,
    case when g.grantee = 0 then 'public' else g.grantee::regrole::text end
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from table_grant g
join own_table t on t.oid = g.table_id
where g.number = 0 and g.command in ('INSERT', 'UPDATE')
  and g.grantee in (select h.grantee from role_reach h)
