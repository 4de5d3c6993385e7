import { describeRule } from "../support/rules.ts";

describeRule("exposed_secret_column", [
  {
    title: "a column with a secret's name that a client may read is found, and only that",
    clean: `alter table app_public.notes
        add column token_expires_at timestamptz, add column device_token_id int,
        add column has_password boolean, add column keyboard text, add column monkey text;
      create table app_public.vault (api_key text)`,
    violation: `alter table app_public.notes
        add column password_hash text, add column reset_token bytea, add column "apiKey" uuid;
      create view app_public.safe with (security_invoker) as select 1 as id, 'x' as secret;
      grant select on app_public.safe to howdah_user`,
    finds: [
      'app_public.notes."apiKey"',
      "app_public.notes.password_hash",
      "app_public.notes.reset_token",
      "app_public.safe.secret",
    ],
    mend: `revoke select on app_public.safe, app_public.notes from howdah_user;
      grant select (id, user_id, body) on app_public.notes to howdah_user`,
  },
]);
