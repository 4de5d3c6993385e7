-- error: a function with its owner's rights that everybody may call
select
  f.title as object,
  case
    when a.grantee = 0 then
      'It runs with its owner''s rights, and PUBLIC may call it: every role that can log in.'
    else
      format(
        'It runs with its owner''s rights, %s may call it, and no comment says what for.', r.name
      )
  end as detail,
  case
    when a.grantee = 0 then
      format(
        'revoke execute on %s %s from public; and grant it to the roles that need it.',
        f.kind, f.title
      )
    else
      format(
        'revoke execute on %s %s from %I; or: comment on %s %s is ''…'';',
        f.kind, f.title, r.name, f.kind, f.title
      )
  end as resolution,
  'pg_catalog.pg_proc'::regclass as class_id, f.oid as object_id, 0 as sub_id
from own_function f
cross join lateral aclexplode(f.rights) a
left join request_role r on r.oid = a.grantee and r.is_nobody
where f.is_definer and a.privilege_type = 'EXECUTE'
  and (
    a.grantee = 0
    or (
      r.oid is not null
      and f.oid not in (
        select d.object_id from described d where d.class_id = 'pg_catalog.pg_proc'::regclass
      )
    )
  )
