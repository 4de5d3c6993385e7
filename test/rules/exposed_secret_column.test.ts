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
  {
    title: "keys and hashes that are there to be seen are not; what people type in is",
    clean: `alter table app_public.notes
      add column translation_key text, add column sort_key text, add column "sortKey" text,
      add column idempotency_key uuid, add column public_key text, add column commit_hash text,
      add column map_pin point, add column token_count int, add column seed int`,
    violation: `alter table app_public.notes
      add column pin int, add column recovery_codes text[], add column ssn text,
      add column iban text, add column wallet_seed text, add column jwt text,
      add column session_cookie text`,
    finds: [
      "app_public.notes.iban",
      "app_public.notes.jwt",
      "app_public.notes.pin",
      "app_public.notes.recovery_codes",
      "app_public.notes.session_cookie",
      "app_public.notes.ssn",
      "app_public.notes.wallet_seed",
    ],
    mend: `revoke select on app_public.notes from howdah_user`,
  },
  {
    title: "what a function answers with is found: columns, a type's columns, a computed column",
    clean: `create function app_public.reset_token() returns text language sql volatile
        as $$ select 'x' $$;
      grant execute on function app_public.reset_token() to howdah_user;
      create function app_public.notes_password_hash(app_public.notes) returns text
        language sql stable as $$ select 'x' $$;
      create type app_public.key_pair as (public_key text, private_key text)`,
    violation: `
      grant execute on function app_public.notes_password_hash(app_public.notes)
        to howdah_anonymous;
      create function app_public.all_users() returns table (user_id int, password_hash text)
        language sql stable security definer set search_path = pg_catalog, public, pg_temp
        as $$ select 1, 'x' $$;
      grant execute on function app_public.all_users() to howdah_user;
      create function app_public.pair() returns app_public.key_pair
        language sql volatile as $$ select null::app_public.key_pair $$;
      grant execute on function app_public.pair() to howdah_user`,
    finds: [
      "app_public.all_users().password_hash",
      "app_public.notes_password_hash(app_public.notes)",
      "app_public.pair().private_key",
    ],
    mend: `comment on function app_public.pair() is
        '@allow exposed_secret_column because it is made for the caller, and shown once';
      revoke execute on function app_public.notes_password_hash(app_public.notes)
        from howdah_anonymous;
      revoke execute on function app_public.all_users() from howdah_user`,
  },
]);
