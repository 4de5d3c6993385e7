--! Previous: sha1:1cd24e97201e31c0d58101d0a631bff95fd923d8
--! Hash: sha1:604328a2fc9733640edca5cadd367d8cc96e9ab4
--! Message: items in order of id

-- A user's items come from the index in the order of their ids: a page reads as many rows as it shows, and sorts none. It serves
-- the policies, the foreign key and the counts of users_item_counts() as the one before did, from the index alone.
create index if not exists items_user_id_id_idx on app_public.items (user_id, id) include (is_active);
drop index if exists app_public.items_user_id_is_active_idx;
