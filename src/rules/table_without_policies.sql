-- warning: an exposed table that nobody can use
select
  t.title as object,
  'Row-level security is on and there is no policy: every role of a request sees an empty table.'
    as detail,
  format(
    'create policy select_own on %s for select to … using (…); or move it out of the API.',
    t.title
  ) as resolution,
  'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id, 0 as sub_id
from own_table t
where t.kind in ('r', 'p') and not t.is_partition and t.is_exposed and t.has_security
  and not exists (select from pg_catalog.pg_policy p where p.polrelid = t.oid)
