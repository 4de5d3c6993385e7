-- warning: a policy that calls a function for each row, though no column of the row goes into it
select distinct
  format('%I.%I.%I', n.nspname, c.relname, p.polname) as object,
  format(
    'The policy calls %I.%I() for each row that it looks at, though the answer is always the same.',
    s.nspname, f.proname
  ) as detail,
  format(
    'Write (select %I.%I(…)) in the policy: a sub-select is evaluated once for a statement.',
    s.nspname, f.proname
  ) as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from policy_call q
join pg_catalog.pg_policy p on p.oid = q.policy_id
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_proc f on f.oid = q.function_id
join pg_catalog.pg_namespace s on s.oid = f.pronamespace
where q.is_per_row
  -- What is immutable is folded when the statement is planned; now() and its like cost nothing.
  and f.provolatile <> 'i'
  and (s.nspname <> 'pg_catalog' or f.proname = 'current_setting')
