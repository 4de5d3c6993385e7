-- error: a column with the name of a secret that clients may read
select
  c.title as object,
  format('Its name is that of a secret, and %s may read it.', r.roles) as detail,
  'Move it to a table in a schema without grants, 1:1; or say in its comment why it is no secret.'
    as resolution,
  'pg_catalog.pg_class'::regclass as class_id, c.table_id as object_id, c.number::int as sub_id
from own_column c
join pg_catalog.pg_type y on y.oid = c.type_id
cross join lateral (
  select string_agg(distinct q.name, ', ' order by q.name) as roles
  from request_right g
  join request_role q on q.oid = g.role_id
  where g.table_id = c.table_id and g.number in (0, c.number) and g.command = 'SELECT'
) r
where c.is_exposed and not c.is_partition and r.roles is not null
  and (
    c.name ~* (
      '(^|_)(passwords?|passwd|pwd|passphrase|passcode|secrets?|tokens?|keys?|hash|hashes|hashed'
      || '|salt|otp|totp|pin|cvv|cvc|credentials?|apikeys?)($|_)'
    )
    or c.name ~ '[a-z](Password|Secret|Token|Key|Hash)s?($|[A-Z])'
  )
  -- Times, numbers, flags and enums say something of a secret, but are none; nor is a reference.
  and y.typcategory not in ('B', 'D', 'E', 'I', 'N', 'T')
  and c.name !~ '_(id|at|type|kind|count)$'
