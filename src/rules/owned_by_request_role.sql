-- error: something that belongs to a role of a request
select
  o.object,
  format('It belongs to %s: who owns a thing may all of it, and no policy holds the owner.', r.name)
    as detail,
  format('alter %s %s owner to …;', o.kind, o.object) as resolution,
  o.class_id, o.object_id, 0 as sub_id
from (
  select
    t.title as object,
    case t.kind
      when 'v' then 'view'
      when 'm' then 'materialized view'
      when 'f' then 'foreign table'
      else 'table'
    end as kind,
    c.relowner as owner_id, 'pg_catalog.pg_class'::regclass as class_id, t.oid as object_id
  from own_table t
  join pg_catalog.pg_class c on c.oid = t.oid
  union all
  select f.title, f.kind, p.proowner, 'pg_catalog.pg_proc'::regclass, f.oid
  from own_function f
  join pg_catalog.pg_proc p on p.oid = f.oid
  union all
  select
    quote_ident(n.nspname), 'schema', n.nspowner, 'pg_catalog.pg_namespace'::regclass, n.oid
  from own_schema s
  join pg_catalog.pg_namespace n on n.oid = s.oid
) o
join request_role r on r.oid = o.owner_id
