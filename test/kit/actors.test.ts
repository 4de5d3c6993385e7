import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Result } from "./actors.ts";
import { createKit } from "./kit.ts";

let database: TestDatabase;
let api: TestApi;
let ada: Account;
let operator: Account;
const kit = createKit(() => database);
const { asUser, asAnonymous, asOperator, asOwner } = kit;

// What a request is to PostgreSQL: who is connected, as whom, and what has been set for it.
const REQUEST = `
  create function app_public.request() returns jsonb
  language sql stable security invoker
  as $$
    select jsonb_build_object(
      'session_user', session_user,
      'role', current_user,
      'user_id', current_setting('jwt.claims.user_id'),
      'session_id', current_setting('jwt.claims.session_id'),
      'ip', current_setting('request.ip'),
      'rate_limit_factor', current_setting('request.rate_limit_factor'),
      'has_user_agent', current_setting('request.user_agent') <> ''
    );
  $$;
  grant execute on function app_public.request()
  to howdah_anonymous, howdah_user, howdah_operator;
`;

beforeAll(async () => {
  database = await createTestDatabase();
  await asOwner(REQUEST);
  api = await startTestApi({ database });
  ada = await api.signUp();
  operator = await api.signUpOperator();
});
afterAll(async () => {
  await api.stop();
  await database.drop();
});

async function sessionOf({ userId }: Account): Promise<number> {
  const { rows } = await asOwner(
    "select max(id) as id from app_public.sessions where user_id = $1",
    [userId],
  );
  return rows[0].id;
}

describe("an actor", () => {
  it("is to PostgreSQL what the same request of the API is", async () => {
    const overHttp = async (token?: string) =>
      (await api.graphql("{ request }", { token })).data.request;
    const statement = "select app_public.request()";
    const direct = async (answer: Promise<Result>) => (await answer).rows[0].request;
    const inSession = async (account: Account) => ({ sessionId: await sessionOf(account) });

    expect(await direct(asAnonymous(statement))).toEqual(await overHttp());
    expect(await direct(asUser(ada.userId, statement, [], await inSession(ada)))).toEqual(
      await overHttp(ada.token),
    );
    expect(
      await direct(asOperator(operator.userId, statement, [], await inSession(operator))),
    ).toEqual(await overHttp(operator.token));
  });

  it("cannot act in a session that has ended, as over the API", async () => {
    const sessionId = await sessionOf(ada);
    await asUser(ada.userId, "select app_public.log_out()", [], { commit: true, sessionId });
    await expect(asUser(ada.userId, "select 1", [], { sessionId })).rejects.toMatchObject({
      code: "HWREV",
    });
  });

  it("leaves nothing behind, unless asked to", async () => {
    const insert = "insert into app_public.items (title) values ('Rope')";
    const count = async () => (await asOwner("select from app_public.items")).rowCount;
    await asUser(ada.userId, insert);
    expect(await count()).toBe(0);
    await asUser(ada.userId, insert, [], { commit: true });
    expect(await count()).toBe(1);
  });
});
