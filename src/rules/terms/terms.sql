-- What the rules talk about: common table expressions that stand before every rule.
-- $1 exposed schemas, $2 internal schemas, $3 roles of a request, who may least first, $4 those of
-- them who are nobody,
-- $5 the sharding column, $6 the names of all rules

request_role as (
  select
    r.oid, r.rolname as name, r.rolname = any ($4::text[]) as is_nobody,
    array_position($3::text[], r.rolname::text) as position
  from pg_catalog.pg_roles r
  where r.rolname = any ($3::text[])
),
-- The roles, PUBLIC included, whose grants and policies hold for a role of a request.
role_reach as (
  select r.oid as role_id, g.oid as grantee
  from request_role r
  join pg_catalog.pg_roles g on pg_catalog.pg_has_role(r.oid, g.oid, 'usage')
  union all
  select r.oid, 0 from request_role r
),
-- Schemas that are looked at; what is exposed is in the API. Besides those that are named, what a
-- request can reach: a role of it may use the schema, or was granted a table there, which is enough
-- for a view or a function that is bound to it already.
own_schema as (
  select n.oid, n.nspname as name, n.nspname = any ($1::text[]) as is_exposed
  from pg_catalog.pg_namespace n
  where n.nspname = any ($1::text[] || $2::text[])
    or (
      n.nspname !~ '^(pg_|information_schema$)'
      and (
        exists (
          select from request_role r where pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage')
        )
        or exists (
          select
          from pg_catalog.pg_class c
          cross join lateral aclexplode(c.relacl) a
          where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and a.grantee <> c.relowner
            and a.grantee in (select h.grantee from role_reach h)
        )
      )
    )
),
sharding_column as (
  select $5::text as name
),
rule_name as (
  select unnest($6::text[]) as name
),
of_an_extension as (
  select d.classid as class_id, d.objid as object_id
  from pg_catalog.pg_depend d
  where d.deptype = 'e'
),
-- Tables (r; partitioned: p), views (v), materialized views (m) and foreign tables (f).
own_table as (
  select
    c.oid, s.name as schema_name, c.relname as name, format('%I.%I', s.name, c.relname) as title,
    c.relkind as kind, c.relispartition as is_partition, c.relrowsecurity as has_security,
    c.reloptions as options, s.is_exposed
  from pg_catalog.pg_class c
  join own_schema s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and (
      'pg_catalog.pg_class'::regclass, c.oid
    ) not in (select e.class_id, e.object_id from of_an_extension e)
),
own_column as (
  select
    t.oid as table_id, a.attnum as number, a.attname as name,
    format('%s.%I', t.title, a.attname) as title, a.atttypid as type_id, t.title as table_title,
    t.kind, t.is_partition, t.is_exposed
  from own_table t
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
),
-- Views that read with the rights of whoever asks.
invoker_view as (
  select t.oid
  from own_table t
  where t.kind = 'v'
    and exists (
      select
      from pg_catalog.pg_options_to_table(t.options) o
      -- In any spelling of PostgreSQL's.
      where case when o.option_name = 'security_invoker' then o.option_value::boolean end
    )
),
-- What these read, by column; 0 is no column in particular.
view_read as (
  select v.oid as view_id, d.refobjid as table_id, d.refobjsubid as number
  from invoker_view v
  join pg_catalog.pg_rewrite w on w.ev_class = v.oid
  join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> v.oid
),
-- The columns that say whose a row is: that by which tables are sharded; where a table has none,
-- those that refer to what others' refers to.
owner_column as (
  select c.table_id, c.number, c.name
  from own_column c
  where c.kind in ('r', 'p') and not c.is_partition
    and c.name = (select s.name from sharding_column s)
  union all
  select c.table_id, c.number, c.name
  from own_column c
  join pg_catalog.pg_constraint k
    on k.conrelid = c.table_id and k.contype = 'f' and k.conkey = array[c.number]
  where not c.is_partition
    and k.confrelid in (
      select u.confrelid
      from own_column o
      join pg_catalog.pg_constraint u
        on u.conrelid = o.table_id and u.contype = 'f' and u.conkey = array[o.number]
      where o.name = (select s.name from sharding_column s)
    )
    and not exists (
      select
      from own_column w
      where w.table_id = c.table_id and w.name = (select s.name from sharding_column s)
    )
),
own_function as (
  select
    p.oid, s.name as schema_name, p.proname as name,
    format('%I.%I(%s)', s.name, p.proname, pg_catalog.oidvectortypes(p.proargtypes)) as title,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind,
    p.provolatile as volatility, p.proparallel as parallel, p.prosecdef as is_definer,
    p.prorettype = 'pg_catalog.trigger'::regtype as is_trigger,
    p.prorettype = 'pg_catalog.event_trigger'::regtype as is_event_trigger,
    p.prorettype as returns, p.proconfig as settings, l.lanname as language,
    coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as body,
    coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)) as rights, s.is_exposed
  from pg_catalog.pg_proc p
  join own_schema s on s.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
  where (
    'pg_catalog.pg_proc'::regclass, p.oid
  ) not in (select e.class_id, e.object_id from of_an_extension e)
),
-- What was granted on tables (column number 0) and columns, to PUBLIC (0) and to roles.
table_grant as (
  select t.oid as table_id, 0 as number, a.grantee, a.privilege_type as command
  from own_table t
  join pg_catalog.pg_class c on c.oid = t.oid
  cross join lateral aclexplode(c.relacl) a
  where a.grantee <> c.relowner
  union all
  select t.oid, att.attnum, a.grantee, a.privilege_type
  from own_table t
  join pg_catalog.pg_class c on c.oid = t.oid
  join pg_catalog.pg_attribute att on att.attrelid = t.oid and att.attacl is not null
  cross join lateral aclexplode(att.attacl) a
  where a.grantee <> c.relowner and not att.attisdropped
),
-- The same grants by the roles of a request that have them.
request_right as (
  select distinct g.table_id, g.number, g.command, r.role_id
  from table_grant g
  join role_reach r using (grantee)
),
-- A policy for each of its commands and roles; PUBLIC is 0.
policy_part as (
  select
    p.oid, p.polrelid as table_id, p.polname as name, t.title as table_title, c.command,
    r.role_id, p.polpermissive as is_permissive, t.is_exposed
  from pg_catalog.pg_policy p
  join own_table t on t.oid = p.polrelid
  join (
    values
      ('r', 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE'),
      ('*', 'SELECT'), ('*', 'INSERT'), ('*', 'UPDATE'), ('*', 'DELETE')
  ) as c(letter, command) on c.letter = p.polcmd::text
  cross join lateral unnest(p.polroles) as r(role_id)
),
-- The tables that the sub-selects of policies read, from the stored expressions; one that a view reads for its
-- caller (security_invoker) as well.
policy_read as (
  with recursive
  named as (
    select p.oid as policy_id, m.found[1]::oid as table_id
    from pg_catalog.pg_policy p
    join own_table t on t.oid = p.polrelid
    cross join lateral (
      values (p.polqual::text), (p.polwithcheck::text)
    ) as v(tree)
    cross join lateral regexp_matches(v.tree, ':rtekind 0 :relid (\d+)', 'g') as m(found)
    union
    select n.policy_id, r.table_id
    from named n
    join view_read r on r.view_id = n.table_id
  )
  select n.policy_id, n.table_id from named n
),
-- The functions that policies call, read from the stored expressions (pg_node_tree), each by
-- itself: a token is a node's beginning, or the end of one.
policy_call as (
  select e.policy_id, c.function_id, c.is_per_row
  from (
    select p.oid as policy_id, v.tree
    from pg_catalog.pg_policy p
    join own_table t on t.oid = p.polrelid
    cross join lateral (
      values (p.polqual::text), (p.polwithcheck::text)
    ) as v(tree)
    where v.tree like '%{FUNCEXPR %'
  ) e
  cross join lateral (
    with token as materialized (
      select
        m.position, m.token[1] <> '}' as opens, substring(m.token[1] from 2) as node,
        m.token[2] as rest,
        coalesce(lag(m.token[2]) over (order by m.position) ~ ':subselect $', false)
          as is_sub_select,
        sum(case when m.token[1] <> '}' then 1 else -1 end) over (order by m.position) as depth
      from regexp_matches(e.tree, '(?<!\\)(\{[A-Z]+|\})([^{}]*)', 'g')
        with ordinality as m(token, position)
    ),
    node as materialized (
      select
        o.node, o.is_sub_select, o.position as begins,
        (
          select min(c.position)
          from token c
          where not c.opens and c.depth = o.depth - 1 and c.position > o.position
        ) as ends,
        substring(o.rest from '^ :funcid (\d+)')::oid as function_id,
        substring(o.rest from ':funcformat (\d+)')::int as function_format,
        substring(o.rest from ':varlevelsup (\d+)')::int as levels_up
      from token o
      where o.opens and o.node in ('FUNCEXPR', 'QUERY', 'VAR')
    ),
    -- Sub-selects that stand by themselves: none of their columns is of what is outside. One in a
    -- from clause is no such thing: it runs when its query does.
    independent as (
      select q.begins, q.ends
      from node q
      where q.is_sub_select
        and not exists (
          select
          from node v
          where v.node = 'VAR' and v.begins between q.begins and q.ends
            and v.levels_up >= (
              select count(*)
              from node b
              where b.node = 'QUERY' and v.begins between b.begins and b.ends
                and b.begins >= q.begins
            )
        )
    )
    select
      f.function_id,
      -- A call that was written, not a cast; of no column; in no such sub-select.
      f.function_format = 0
        and not exists (
          select from node v where v.node = 'VAR' and v.begins between f.begins and f.ends
        )
        and not exists (
          select from independent q where f.begins between q.begins and q.ends
        ) as is_per_row
    from node f
    where f.node = 'FUNCEXPR'
  ) c
),
-- The comments that begin with tags (@name value), as PostGraphile reads them: the first line that
-- is no tag begins the text. A comment on a column has its number as sub_id.
comment_line as (
  select
    d.classoid as class_id, d.objoid as object_id, d.objsubid as sub_id, l.line, l.position,
    l.line ~ '^[ \t]*@[a-zA-Z][a-zA-Z0-9_]*(\s|$)' or (l.line = '' and l.position = 1) as is_tag
  from pg_catalog.pg_description d
  cross join lateral regexp_split_to_table(d.description, '\r?\n')
    with ordinality as l(line, position)
  where d.description like '%@%' and d.objoid >= 16384
),
tag as (
  select
    l.class_id, l.object_id, l.sub_id, l.position,
    substring(l.line from '@([a-zA-Z][a-zA-Z0-9_]*)') as name,
    trim(substring(l.line from '@[a-zA-Z][a-zA-Z0-9_]*(.*)$')) as value,
    l.is_in_front
  from (
    select
      c.*,
      -- A tag after text is text: PostGraphile shows it.
      bool_and(c.is_tag) over (
        partition by c.class_id, c.object_id, c.sub_id order by c.position
      ) as is_in_front
    from comment_line c
  ) l
  where l.is_tag and l.line <> ''
),
-- What its comment keeps out of the API as a whole.
out_of_api as (
  select t.class_id, t.object_id, t.sub_id
  from tag t
  where t.name = 'behavior' and t.is_in_front and t.value ~ '(^|\s)-\*(\s|$)'
),
silence as (
  select
    t.class_id, t.object_id, t.sub_id, t.value, t.is_in_front,
    -- What clients are told when a constraint, or a unique index, is broken.
    t.class_id = 'pg_catalog.pg_constraint'::regclass
      or t.class_id = 'pg_catalog.pg_class'::regclass
        and t.object_id in (select i.indexrelid from pg_catalog.pg_index i) as is_told,
    substring(t.value from '^[^\s]+') as rule,
    nullif(trim(substring(t.value from '^[^\s]+\s+because(\s.*)$')), '') as reason
  from tag t
  where t.name = 'allow'
),
-- Objects whose comment says something besides tags.
described as (
  select d.classoid as class_id, d.objoid as object_id, d.objsubid as sub_id
  from pg_catalog.pg_description d
  where d.objoid >= 16384
    and regexp_replace(
      d.description, '^\r?\n?([ \t]*@[a-zA-Z][a-zA-Z0-9_]*([ \t][^\n]*)?(\r?\n|\r?$))*', ''
    ) !~ '^\s*$'
)
