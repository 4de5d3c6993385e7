--! Previous: sha1:35f43cc8a66bda09676aa99931d182e4fc15e222
--! Hash: sha1:99acf71fe4d856eff34304dd2a2319e6ee463e08
--! Message: push enums

-- A migration of its own: a value that was added to an enum can be used from the next transaction on.

alter type app_public.device_disabled_reason add value 'stale';
