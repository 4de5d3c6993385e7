--! repair

-- jsonb takes less than json: no \u0000 and no half characters.
update pg_temp.source_items s
set
  state = 'skipped',
  reason = case
    when s.data = 'too long' then 'items_data_size'
    when s.is_too_deep then 'data_too_deep'
    else 'data_invalid'
  end
where s.state is null and (s.is_too_deep or not pg_input_is_valid(s.data, 'jsonb'));

--! select

select
  id as source_id, id, user_id, title, description, data::jsonb as data,
  coalesce(is_active, true) as is_active,
  coalesce(created_at, now()) as created_at, coalesce(updated_at, created_at, now()) as updated_at
from pg_temp.source_items where state is null
