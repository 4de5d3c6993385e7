-- error: a policy by which one writes rows of somebody else
select
  format('%s.%I', p.table_title, p.name) as object,
  format(
    '%s may %s %s, and it does not look at that: a row can be anybody''s.',
    string_agg(distinct r.name, ', ' order by r.name), lower(p.command),
    string_agg(distinct quote_ident(o.name), ', ' order by quote_ident(o.name))
  ) as detail,
  format(
    'revoke %1$s (%2$s) on %3$s from %4$s; or: alter policy %5$I on %3$s with check (%2$s = …);',
    lower(p.command), string_agg(distinct quote_ident(o.name), ', ' order by quote_ident(o.name)),
    p.table_title, string_agg(distinct quote_ident(r.name), ', ' order by quote_ident(r.name)),
    p.name
  ) as resolution,
  'pg_catalog.pg_policy'::regclass as class_id, p.oid as object_id, 0 as sub_id
from policy_part p
join role_reach h on h.grantee = p.role_id
join request_role r on r.oid = h.role_id
join owner_column o on o.table_id = p.table_id
join request_right g
  on g.table_id = p.table_id and g.role_id = r.oid and g.command = p.command
    and g.number in (0, o.number)
where p.is_permissive and p.command in ('INSERT', 'UPDATE')
  -- Neither it, nor one that narrows it, reads a column that says whose the row is.
  and not exists (
    select
    from owner_column w
    join policy_part n on n.table_id = w.table_id and n.command = p.command
    join pg_catalog.pg_policy y on y.oid = n.oid
    where w.table_id = p.table_id
      and (
        n.oid = p.oid
        or (
          not n.is_permissive
          and n.role_id in (select x.grantee from role_reach x where x.role_id = r.oid)
        )
      )
      -- That there is an owner says nothing of who it is.
      and regexp_replace(
        coalesce(y.polwithcheck, y.polqual)::text,
        '\{NULLTEST :arg \{VAR [^{}]*\} :nulltesttype', ' ', 'g'
      ) ~ format('\{VAR :varno \d+ :varattno (0|%s) ', w.number)
  )
group by p.oid, p.table_id, p.table_title, p.name, p.command
