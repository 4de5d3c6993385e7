import { type Command, CommandError, idOf, UsageError, userOf } from "../command.ts";

export const userShow: Command = {
  usage: "EMAIL|PHONE|ID",
  args: 1,
  summary: "shows an account: whether it can log in, its sessions, devices and latest pushes",
  async run({ database, args: [who] }) {
    const id = await userOf(database, who);
    const { rows } = await database.query(
      `select u.id, u.email, u.email_verified, u.phone, u.phone_verified, u.timezone, u.created_at,
         u.last_logged_in,
         exists (select from app_private.operators o where o.user_id = u.id) as is_operator,
         exists (
           select from app_private.user_secrets s where s.user_id = u.id and s.password_hash is not null
         ) as has_password,
         array(select c.provider::text from app_public.oauth2_credentials c where c.user_id = u.id) as providers,
         d.disabled_at, d.reason as disabled_reason,
         app_public.users_unread_notification_count(u) as unread
       from app_public.users u
       left join app_private.disabled_users d on d.user_id = u.id
       where u.id = $1`,
      [id],
    );
    const { rows: sessions } = await database.query(
      `select id, device_info, ip_address, created_at, last_used_at from app_public.sessions
       where user_id = $1 and revoked_at is null and expires_at > now() order by last_used_at desc`,
      [id],
    );
    const { rows: devices } = await database.query(
      `select id, device_type as type, last_seen_at, disabled_at, disabled_reason as reason, paused_until
       from app_public.device_tokens where user_id = $1 order by disabled_at nulls first, id desc limit 20`,
      [id],
    );
    const { rows: pushes } = await database.query(
      `select notification_id as notification, device_token_id as device, status, error_code as error,
         created_at, sent_at
       from app_public.notification_deliveries where user_id = $1
       order by notification_id desc, id desc limit 10`,
      [id],
    );
    const shown = Object.entries(rows[0] as object)
      .filter(([, value]) => value !== null && (value as string[]).length !== 0)
      .map(
        ([name, value]) =>
          `${name.padEnd(16)} ${value instanceof Date ? value.toISOString() : String(value).replaceAll("\n", "\\n")}`,
      );
    const part = (title: string, found: object[]) =>
      found.length === 0 ? [`${title}: none.`] : [`${title}:`, found];
    return {
      json: { user: rows[0], sessions, devices, deliveries: pushes },
      text: [
        shown.join("\n"),
        ...part("Sessions", sessions),
        ...part("Devices", devices),
        ...part("Latest deliveries", pushes),
      ],
    };
  },
};

export const userDisable: Command = {
  usage: "EMAIL|PHONE|ID [--reason TEXT]",
  args: 1,
  summary: "shuts an account: sessions end, nobody logs in, pushes stop; nothing is deleted",
  details:
    "At once: its access tokens are refused, its sockets closed, its devices get nothing. A log-in with its\n" +
    "password is answered like a wrong one, with a provider FORBIDDEN. Its inbox stays. user:enable ends it.\n" +
    "An operator's as well, which the API refuses; the role stays: operator:revoke takes it away.",
  options: { reason: { value: "TEXT", help: "for the next operator who looks; see user:show" } },
  async run({ database, args: [who], options: { reason } }) {
    if (typeof reason === "string" && reason.length > 500) {
      throw new UsageError("--reason has at most 500 characters.");
    }
    const id = await userOf(database, who);
    const { rows } = await database.query<{ done: boolean }>(
      "select app_private.disable_user($1, nullif(btrim($2), '')) as done",
      [id, reason ?? null],
    );
    const { rowCount: operators } = await database.query(
      "select from app_private.operators where user_id = $1",
      [id],
    );
    return {
      json: { userId: id, disabled: true, changed: rows[0]?.done, isOperator: operators === 1 },
      text: [rows[0]?.done ? `User ${id} is disabled.` : `User ${id} was disabled already.`],
      ...(operators
        ? {
            warning:
              "This is an operator, and will be one again once enabled: see operator:revoke.",
          }
        : {}),
    };
  },
};

export const userEnable: Command = {
  usage: "EMAIL|PHONE|ID",
  args: 1,
  summary:
    "opens a disabled account again; its user logs in, and their devices register, as before",
  async run({ database, args: [who] }) {
    const id = await userOf(database, who);
    const { rows } = await database.query<{ done: boolean }>(
      "select app_private.enable_user($1) as done",
      [id],
    );
    return {
      json: { userId: id, disabled: false, changed: rows[0]?.done },
      text: [rows[0]?.done ? `User ${id} is enabled.` : `User ${id} was not disabled.`],
    };
  },
};

export const sessionRevoke: Command = {
  usage: "SESSION_ID",
  args: 1,
  summary: "ends a session: its tokens are refused at once, its device gets nothing more",
  async run({ database, args: [text] }) {
    const id = idOf(text, "session");
    const { rows } = await database.query<{ user_id: number; revoked_at: Date | null }>(
      "select user_id, revoked_at from app_public.sessions where id = $1",
      [id],
    );
    const [session] = rows;
    if (!session) throw new CommandError(`There is no session ${id}.`);
    if (session.revoked_at === null) {
      await database.query(
        `with revoked as (select app_private.revoke_sessions(array[$1::int], 'operator_revoked'))
         select app_private.log_security_event('session_revoked', $2, $1, null) from revoked`,
        [id, session.user_id],
      );
    }
    return {
      json: { id, userId: session.user_id, changed: session.revoked_at === null },
      text: [
        session.revoked_at === null
          ? `Session ${id} of user ${session.user_id} has ended.`
          : `Session ${id} had ended already.`,
      ],
    };
  },
};
