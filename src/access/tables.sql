-- For each table and command the roles that may, and the columns where it is not all of them.
with grantee as (
  select r.oid, r.rolname as name
  from pg_roles r
  where not r.rolsuper and r.rolname not like 'pg\_%'
  union all
  -- Everybody, as PostgreSQL itself names them.
  select 0, 'public'
),
relation as (
  select
    c.oid, c.relowner as owner, format('%I.%I', n.nspname, c.relname) as name,
    c.relkind in ('v', 'm') as is_view, c.relispartition as is_partition,
    c.relkind = 'v' and exists (
      select
      from pg_options_to_table(c.reloptions) o
      -- In any spelling of PostgreSQL's.
      where case when o.option_name = 'security_invoker' then o.option_value::boolean end
    ) as is_invoker,
    c.relrowsecurity as has_security
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname !~ '^(pg_|information_schema$)'
    and not exists (
      select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
),
command(name, position, has_columns) as (
  values
    ('select', 1, true), ('insert', 2, true), ('update', 3, true), ('delete', 4, false),
    ('truncate', 5, false), ('references', 6, true), ('trigger', 7, false), ('maintain', 8, false)
),
granted as (
  select
    r.oid, c.name as command, g.name as role,
    case
      when has_table_privilege(g.name, r.oid, c.name) then null
      else array(
        select a.attname::text
        from pg_attribute a
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
          and has_column_privilege(g.name, r.oid, a.attnum, c.name)
        order by a.attname
      )
    end as columns
  from relation r
  cross join command c
  join grantee g on g.oid = 0 or not pg_has_role(g.name, r.owner, 'usage')
  where has_table_privilege(g.name, r.oid, c.name)
    or (c.has_columns and has_any_column_privilege(g.name, r.oid, c.name))
),
-- What is everybody's is not listed again for each of them.
listed as (
  select g.*
  from granted g
  where g.role = 'public'
    or not exists (
      select from granted p
      where p.oid = g.oid and p.command = g.command and p.role = 'public'
        and p.columns is not distinct from g.columns
    )
)
select
  r.oid::int, r.name, r.is_view, r.is_invoker, r.has_security,
  (
    select jsonb_agg(
      jsonb_build_object('command', c.name, 'grants', array(
        select jsonb_build_object('role', g.role, 'columns', g.columns)
        from listed g
        where g.oid = r.oid and g.command = c.name
        order by g.role
      ))
      order by c.position
    )
    from command c
    where c.position <= 4
      or exists (select from granted g where g.oid = r.oid and g.command = c.name)
  ) as commands
from relation r
-- The partitions come and go with the months; nobody reaches them but by their table.
where not r.is_partition or exists (select from granted g where g.oid = r.oid)
order by r.name collate "C"
