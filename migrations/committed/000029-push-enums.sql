--! Previous: sha1:b85962acd5e0cb3be0e4cc14497add1ef41bb714
--! Hash: sha1:54e189453801596afde92029c8673aca9c1095d9
--! Message: push enums

-- A migration of its own: a value that was added to an enum can be used from the next transaction on.

alter type app_public.device_disabled_reason add value 'stale';
