--! Previous: sha1:730b3b44c7a5a4279a068ce850713bbc7bc2c9e7
--! Hash: sha1:0029e2ca07f09867fc8ea478987d69f49b466fd6
--! Message: push enums

-- A migration of its own: a value that was added to an enum can be used from the next transaction on.

alter type app_public.device_disabled_reason add value 'stale';
