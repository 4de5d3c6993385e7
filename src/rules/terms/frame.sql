-- What stands after the rules: their findings but for those that a comment allows, that of the
-- object itself or that of its table; and the names that were given and do not exist.
select f.rule, f.object, f.detail, f.resolution
from finding f
where f.rule = 'silence_without_reason'
  or not exists (
    select
    from silence s
    where s.rule = f.rule and s.reason is not null and s.is_in_front and not s.is_told
      and (
        (s.class_id, s.object_id, s.sub_id) = (f.class_id, f.object_id, f.sub_id)
        or (
          s.class_id = 'pg_catalog.pg_class'::regclass and s.sub_id = 0
          and s.object_id = case f.class_id
            when 'pg_catalog.pg_class'::regclass then f.object_id
            when 'pg_catalog.pg_policy'::regclass then
              (select p.polrelid from pg_catalog.pg_policy p where p.oid = f.object_id)
            when 'pg_catalog.pg_trigger'::regclass then
              (select g.tgrelid from pg_catalog.pg_trigger g where g.oid = f.object_id)
            when 'pg_catalog.pg_rewrite'::regclass then
              (select w.ev_class from pg_catalog.pg_rewrite w where w.oid = f.object_id)
            when 'pg_catalog.pg_constraint'::regclass then
              (select k.conrelid from pg_catalog.pg_constraint k where k.oid = f.object_id)
          end
        )
      )
  )
union all
select '', n.name, 'schema', ''
from unnest($1::text[]) as n(name)
where n.name not in (select s.name from own_schema s)
union all
select '', n.name, 'role', ''
from unnest($3::text[]) as n(name)
where n.name not in (select r.name from request_role r)
order by 1, 2, 3
