--! Previous: sha1:65f5dd63c367db00cb539db23a8af8245412d49b
--! Hash: sha1:129391a04ee3e51a114beb4a84150716e12841b0
--! Message: identity events

-- A migration of its own: a value that was added to an enum can be used from the next transaction on.

alter type app_public.security_event_kind add value 'identity_linked';
alter type app_public.security_event_kind add value 'identity_unlinked';
