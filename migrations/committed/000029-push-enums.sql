--! Previous: sha1:81d39dd49e11184635a8d997d09c965331ad50ae
--! Hash: sha1:1a3dc65abc713797c2d83de1994ad9d79bcab469
--! Message: push enums

-- A migration of its own: a value that was added to an enum can be used from the next transaction on.

alter type app_public.device_disabled_reason add value 'stale';
