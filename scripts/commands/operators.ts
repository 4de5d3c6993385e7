import { type Command, userOf } from "../command.ts";

export const operatorGrant: Command = {
  usage: "EMAIL|PHONE|ID",
  args: 1,
  summary: "makes a user an operator, from their next refresh or log-in on",
  async run({ database, args: [who] }) {
    const id = await userOf(database, who);
    await database.query(
      "insert into app_private.operators (user_id) values ($1) on conflict do nothing",
      [id],
    );
    const { rows } = await database.query<{ email_verified: boolean; phone_verified: boolean }>(
      "select email_verified, phone_verified from app_public.users where id = $1",
      [id],
    );
    const [{ email_verified: emailVerified, phone_verified: phoneVerified }] = rows as [
      (typeof rows)[number],
    ];
    return {
      json: { userId: id, isOperator: true, emailVerified, phoneVerified },
      text: [`User ${id} is an operator.`],
      ...(emailVerified || phoneVerified
        ? {}
        : { warning: "No address of this user is verified: make sure that it is them." }),
    };
  },
};

export const operatorRevoke: Command = {
  usage: "EMAIL|PHONE|ID",
  args: 1,
  summary: "takes the right back; an operator's token is refused at once",
  async run({ database, args: [who] }) {
    const id = await userOf(database, who);
    const { rowCount } = await database.query(
      "delete from app_private.operators where user_id = $1",
      [id],
    );
    return {
      json: { userId: id, isOperator: false, changed: rowCount === 1 },
      text: [
        rowCount === 1 ? `User ${id} is not an operator any more.` : `User ${id} was no operator.`,
      ],
    };
  },
};
