-- error: policies that ask for each other without end
with recursive
-- From a table to one that a policy of it reads, by the roles of a request for which both hold.
step as (
  select distinct
    p.oid as policy_id, h.role_id, p.table_id as from_id, r.table_id as to_id, p.command
  from policy_part p
  join role_reach h on h.grantee = p.role_id
  join request_role q on q.oid = h.role_id
  join policy_read r on r.policy_id = p.oid
  join own_table t on t.oid = r.table_id and t.has_security
),
way as (
  -- What is read on the way is read by policies for select, whatever the command was.
  select s.role_id, s.from_id, s.to_id from step s where s.command = 'SELECT'
  union
  select w.role_id, w.from_id, s.to_id
  from way w
  join step s on s.role_id = w.role_id and s.from_id = w.to_id and s.command = 'SELECT'
)
select
  format('%s.%I', t.title, p.polname) as object,
  format(
    'It reads %s, whose policies %s: every %s fails with "infinite recursion detected in policy".',
    string_agg(distinct o.title, ', '),
    case when bool_and(s.to_id = s.from_id) then 'it is one of' else 'lead back to this table' end,
    string_agg(distinct lower(s.command), ' and ')
  ) as detail,
  'Let a function answer that is security definer, has its search_path pinned and may be executed by '
    || 'the roles of the policy: no policy is asked in it.' as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from step s
join pg_catalog.pg_policy p on p.oid = s.policy_id
join own_table t on t.oid = s.from_id
join own_table o on o.oid = s.to_id
where s.to_id = s.from_id
  or exists (
    select
    from way w
    where w.role_id = s.role_id and w.from_id = s.to_id and w.to_id = s.from_id
  )
group by p.oid, t.title, p.polname
