import type { Pool } from "pg";
import { hashNewPassword } from "./auth/passwords.ts";

/** The logins of a first run; development only, because they are known to everybody. */
export const DEMO_PASSWORD = "howdah-demo";
export const DEMO_USER = "ada@example.com";
export const DEMO_OPERATOR = "operator@example.com";
const DEMO_PHONE = "android-phone-of-ada";

/**
 * Fills an empty database: a user, an operator, a phone each, a few items, and one push to the
 * user's phone. Undefined where somebody has signed up already.
 */
export async function seedDemo(
  pool: Pool,
): Promise<{ notificationId: number; phone: string } | undefined> {
  const { rowCount } = await pool.query("select from app_public.users limit 1");
  if (rowCount !== 0) return undefined;
  const hash = await hashNewPassword(DEMO_PASSWORD);
  const user = await createUser(pool, { firstName: "Ada", email: DEMO_USER, hash });
  const operator = await createUser(pool, { firstName: "Otto", email: DEMO_OPERATOR, hash });
  await pool.query("insert into app_private.operators (user_id) values ($1)", [operator]);
  await pool.query(
    `insert into app_public.device_tokens (user_id, token, device_type)
     values ($1, $2, 'android'), ($3, 'ios-phone-of-otto', 'ios')`,
    [user, DEMO_PHONE, operator],
  );
  await pool.query(
    `insert into app_public.items (user_id, title, description, data)
     values
       ($1, 'Saddle', 'Teak, two seats', '{"colour": "red"}'),
       ($1, 'Parasol', null, '{"colour": "gold"}'),
       ($1, 'Ladder', 'Nine rungs', null)`,
    [user],
  );
  const { rows } = await pool.query<{ id: number }>(
    `select id from app_private.notify(array[$1::int], 'demo.welcome', $2, $3)`,
    [user, "Your first push came all the way through.", "Howdy, Ada"],
  );
  return { notificationId: rows[0]?.id as number, phone: DEMO_PHONE };
}

/** With a verified address, so that SIGN_UP_CONFIRMATION=required lets them log in too. */
async function createUser(
  pool: Pool,
  { firstName, email, hash }: { firstName: string; email: string; hash: string },
): Promise<number> {
  const { rows } = await pool.query<{ user_id: number }>(
    `with person as (
       insert into app_public.users (first_name, email, email_verified)
       values ($1, $2, true) returning id
     )
     insert into app_private.user_secrets (user_id, password_hash)
     select id, $3 from person returning user_id`,
    [firstName, email, hash],
  );
  return rows[0]?.user_id as number;
}
