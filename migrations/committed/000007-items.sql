--! Previous: sha1:2775fa294b1dc00ad73cc3d97f9edd907ef21751
--! Hash: sha1:fb8aa1217ebeba4c77f8427b835aad18819c914b
--! Message: items

-- Items: the simplest table there is, and the pattern for yours.

create table app_public.items (
  id int generated always as identity,
  user_id int not null default app_public.current_user_id(),
  title text not null,
  description text,
  data jsonb,
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint items_pkey primary key (id),
  constraint items_user_id_fkey foreign key (user_id) references app_public.users on delete cascade,
  constraint items_title_length check (length(title) between 1 and 200),
  constraint items_description_length check (length(description) <= 10000),
  constraint items_data_size check (octet_length(data::text) <= 65536)
);

alter table app_public.items enable row level security;

create index items_user_id_idx on app_public.items (user_id);
create index items_title_idx on app_public.items (title);
create index items_created_at_idx on app_public.items (created_at);

create policy select_own on app_public.items for select to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));
create policy insert_own on app_public.items for insert to :DATABASE_USER
  with check (user_id = (select app_public.current_user_id()));
create policy update_own on app_public.items for update to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()))
  with check (user_id = (select app_public.current_user_id()));
create policy delete_own on app_public.items for delete to :DATABASE_USER
  using (user_id = (select app_public.current_user_id()));

grant select, delete on app_public.items to :DATABASE_USER;
grant insert (title, description, data) on app_public.items to :DATABASE_USER;
grant update (title, description, data, is_active) on app_public.items to :DATABASE_USER;

create trigger _100_timestamps
  before insert or update on app_public.items
  for each row execute function app_private.tg__timestamps();

comment on table app_public.items is 'Something that a user keeps. Only its owner sees it.';
comment on column app_public.items.user_id is 'The owner: who created it.';
comment on column app_public.items.data is 'Any JSON, up to 64 KiB as text.';
comment on column app_public.items.is_active is 'False for what its owner has put aside.';
comment on constraint items_title_length on app_public.items is 'A title has 1 to 200 characters.';
comment on constraint items_description_length on app_public.items is
  'A description has at most 10,000 characters.';
comment on constraint items_data_size on app_public.items is 'Data has at most 64 KiB as text.';
