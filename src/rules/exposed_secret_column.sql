-- error: a column with the name of a secret that clients may read
with readable as (
  select
    c.title as object, c.name, c.type_id, q.name as role_name,
    'pg_catalog.pg_class'::regclass as class_id, c.table_id as object_id, c.number::int as sub_id
  from own_column c
  join request_right g
    on g.table_id = c.table_id and g.number in (0, c.number) and g.command = 'SELECT'
  join request_role q on q.oid = g.role_id
  where c.is_exposed and not c.is_partition
  union all
  -- What a function answers with: its columns, those of the type that it returns where that is no
  -- table that clients may read anyway, and what it computes and is named after.
  select
    case when o.is_itself then f.title else format('%s.%I', f.title, o.name) end, o.name, o.type_id,
    q.name, 'pg_catalog.pg_proc'::regclass, f.oid, 0
  from own_function f
  join pg_catalog.pg_proc p on p.oid = f.oid
  join pg_catalog.pg_type y on y.oid = f.returns
  cross join lateral (
    select a.name, a.type_id, false as is_itself
    from unnest(p.proargnames, p.proallargtypes, p.proargmodes) as a(name, type_id, mode)
    where a.mode in ('o', 'b', 't')
    union all
    select t.attname, t.atttypid, false
    from pg_catalog.pg_attribute t
    where t.attrelid = y.typrelid and t.attnum > 0 and not t.attisdropped
      and y.typrelid not in (
        select r.table_id
        from request_right r
        join own_table e on e.oid = r.table_id and e.is_exposed
        where r.command = 'SELECT'
      )
    union all
    select f.name, f.returns, true
    where f.volatility <> 'v' and y.typtype in ('b', 'd')
  ) o
  cross join lateral aclexplode(f.rights) x
  join role_reach h using (grantee)
  join request_role q on q.oid = h.role_id
  where f.is_exposed and f.kind = 'function' and x.privilege_type = 'EXECUTE'
)
select
  r.object,
  format(
    'Its name is that of a secret, and %s may read it.',
    string_agg(distinct r.role_name, ', ' order by r.role_name)
  ) as detail,
  'Move it to a table in a schema without grants, 1:1; or say in its comment why it is no secret.'
    as resolution,
  r.class_id, r.object_id, r.sub_id
from readable r
join pg_catalog.pg_type y on y.oid = r.type_id
cross join lateral (
  select lower(regexp_replace(r.name, '([a-z0-9])([A-Z])', '\1_\2', 'g')) as name
) w
where w.name ~ (
    '(^|_)(passwords?|passwd|pwd|passphrase|passcode|secrets?|tokens?|keys?|hash|hashes|hashed'
    || '|salt|otp|totp|pins?|cvv|cvc|credentials?|apikeys?|jwts?|seed|mnemonic|ssn|iban|cookies?'
    || '|(recovery|backup|reset|scratch|verification|login)_codes?)($|_)'
  )
  -- Keys and hashes that are there to be seen, and a pin on a map.
  and w.name !~ (
    '(^|_)((public|sort|order|group|partition|sharding|primary|foreign|natural|translation|cache'
    || '|idempotency|deduplication|lookup)_keys?|(commit|content|file|image|picture|photo|avatar'
    || '|blob|blur|git|tree|block|transaction)_hash(es)?|map_pins?)$'
  )
  -- Times, flags, enums and places say something of a secret, but are none; nor is a reference, nor
  -- a number but for those that are typed in.
  and y.typcategory not in ('B', 'D', 'E', 'G', 'I', 'T')
  and (y.typcategory <> 'N' or w.name ~ '(^|_)(passcode|otp|totp|pins?|cvv|cvc|ssn|codes?)($|_)')
  and w.name !~ '_(id|at|type|kind|count)$'
group by r.object, r.class_id, r.object_id, r.sub_id
