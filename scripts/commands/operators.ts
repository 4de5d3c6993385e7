import { type Command, userOf } from "../command.ts";

export const operatorGrant: Command = {
  usage: "EMAIL",
  args: 1,
  summary: "makes a user an operator, from their next refresh or log-in on",
  async run({ database, args: [email] }) {
    const id = await userOf(database, email);
    await database.query(
      "insert into app_private.operators (user_id) values ($1) on conflict do nothing",
      [id],
    );
    const { rowCount: unproven } = await database.query(
      "select from app_public.users where id = $1 and not email_verified",
      [id],
    );
    return {
      json: { userId: id, isOperator: true, emailVerified: !unproven },
      text: [`User ${id} is an operator.`],
      ...(unproven
        ? { warning: "Nobody has verified this address: make sure that it is them." }
        : {}),
    };
  },
};

export const operatorRevoke: Command = {
  usage: "EMAIL",
  args: 1,
  summary: "takes the right back; an operator's token is refused at once",
  async run({ database, args: [email] }) {
    const id = await userOf(database, email);
    await database.query("delete from app_private.operators where user_id = $1", [id]);
    return {
      json: { userId: id, isOperator: false },
      text: [`User ${id} is not an operator any more.`],
    };
  },
};
