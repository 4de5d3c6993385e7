-- After each run of migrations, committed or current: tables whose comment says @live get their trigger, others
-- lose it.
select app_private.sync_live_triggers();
