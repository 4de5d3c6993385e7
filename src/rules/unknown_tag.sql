-- warning: a smart tag that nothing reads
select
  i.identity as object,
  case t.name
    when 'omit' then
      'Its @omit is of PostGraphile 4, and hides nothing: it is in the API as if it were not there.'
    else format('Nothing reads its tag @%s, and the API does not show it.', t.name)
  end as detail,
  case t.name
    when 'omit' then
      'Hide it with @behavior -*, or a part of it, such as @behavior -select; better, grant less.'
    else 'Write it as docs/rules/unknown_tag.md has it, or begin the comment with a word instead.'
  end as resolution,
  t.class_id, t.object_id, t.sub_id
from (select distinct g.class_id, g.object_id, g.sub_id, g.name from tag g where g.is_in_front) t
cross join lateral pg_catalog.pg_identify_object(t.class_id, t.object_id, t.sub_id) i
where t.name <> all (
    array[
      'allow', 'live', 'orderedBy',
      'backwardBehavior', 'backwardDescription', 'behavior', 'deleteFieldName', 'deprecated',
      'deprecation', 'enum', 'enumName', 'fieldName', 'filterable', 'foreignConnectionFieldName',
      'foreignFieldName', 'foreignKey', 'foreignSimpleFieldName', 'foreignSingleFieldName',
      'forwardBehavior', 'forwardDescription', 'hasDefault', 'implements', 'interface', 'isIndexed',
      'listSuffix', 'name', 'nodeIdCodec', 'notNull', 'partitionExpose', 'primaryKey', 'ref',
      'refVia', 'resultFieldName', 'returnType', 'simpleCollections', 'sortable', 'type',
      'unionMember', 'unique', 'uniqueKey', 'updateFieldName'
    ]
  )
  and t.name !~ '^arg[0-9]+(variant|modifier)$'
  -- Of the API, or of a constraint, which names no schema.
  and (
    i.schema is null
    or i.schema in (select quote_ident(o.name) from own_schema o where o.is_exposed)
  )
