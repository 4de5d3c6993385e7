-- error: a silence that does not say why
select
  i.identity as object,
  case
    when not s.is_in_front then
      'Its @allow stands after text: it silences nothing, and the API shows it.'
    when s.is_told then
      'Clients are told this comment when it is broken: @allow has its place in the table''s.'
    when s.rule is null or s.rule not in (select r.name from rule_name r) then
      format('Its @allow names no rule: %s.', coalesce(nullif(s.value, ''), 'nothing'))
    else format('It allows %s without a reason.', s.rule)
  end as detail,
  'Begin the comment with `@allow <rule> because <reason>`, one line for each rule.' as resolution,
  s.class_id, s.object_id, s.sub_id
from silence s
cross join lateral pg_catalog.pg_identify_object(s.class_id, s.object_id, s.sub_id) i
where (
    not s.is_in_front or s.is_told or s.reason is null
    or s.rule not in (select r.name from rule_name r)
  )
  -- Of the schemas that are looked at, or of a trigger, policy or constraint, which name none.
  and (i.schema is null or i.schema in (select quote_ident(o.name) from own_schema o))
