-- error: a rule that rewrites a command, and writes as its table's owner
select
  format('%s.%I', t.title, w.rulename) as object,
  'What it does instead of, or besides, the command runs as the owner of the table or view, whom '
    || 'row-level security does not stop; security_invoker changes nothing of that.' as detail,
  format('drop rule %I on %s;', w.rulename, t.title) as resolution,
  'pg_catalog.pg_rewrite'::regclass as class_id, w.oid as object_id, 0 as sub_id
from own_table t
join pg_catalog.pg_rewrite w on w.ev_class = t.oid
-- What a view selects.
where w.ev_type <> '1'
