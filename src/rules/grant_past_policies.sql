-- error: a right on a table that no policy holds
select
  t.title as object,
  format(
    '%s may %s it, and policies have no say in that.',
    case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end,
    case g.command
      when 'TRUNCATE' then 'truncate'
      when 'TRIGGER' then 'make triggers on'
      when 'REFERENCES' then 'refer by keys to'
      else lower(g.command)
    end
  ) as detail,
  format(
    'revoke %s on %s from %s;', lower(g.command), t.title,
    case when g.grantee = 0 then 'public' else g.grantee::regrole::text end
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from (select distinct x.table_id, x.grantee, x.command from table_grant x) g
join own_table t on t.oid = g.table_id
where g.command not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  and g.grantee in (select h.grantee from role_reach h)
