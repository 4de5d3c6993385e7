import { describeRule } from "../support/rules.ts";

describeRule("view_without_security_invoker", [
  {
    title: "a view that reads with its owner's rights is found",
    clean: `create view app_public.mine with (security_invoker) as
      select id from app_public.notes`,
    violation: "create view app_public.everybodys as select id from app_public.notes",
    finds: ["app_public.everybodys"],
  },
  {
    title: "so is a materialized view that a client may read",
    clean: "create materialized view app_public.counts as select count(*) from app_public.notes",
    violation: "grant select on app_public.counts to howdah_user",
    finds: ["app_public.counts"],
    mend: "revoke select on app_public.counts from howdah_user",
  },
]);
