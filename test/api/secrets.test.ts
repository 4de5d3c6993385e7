import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PROVIDER_TOKENS, readProviderTokens } from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import { createLogger } from "../../src/logger.ts";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { newVerifier, openBrowser, RETURN_URL, signInWith, startUrl } from "../support/browser.ts";
import { mailsTo, secretIn, smsTo } from "../support/mailbox.ts";
import { CLIENT, type FakeGoogle, startGoogle } from "../support/providers.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
let google: FakeGoogle;
const log: string[] = [];
const KEY = { CREDENTIALS_KEY: randomBytes(32).toString("base64") };

beforeAll(async () => {
  const logger = createLogger(
    { pretty: false, level: "trace" },
    { write: (line) => log.push(line) },
  );
  google = await startGoogle();
  api = await startTestApi({
    environment: { ...KEY, ...google.environment, ALLOWED_REDIRECTS: RETURN_URL },
    logger,
  });
  await keepPayloads();
  worker = await startTestWorker(api.database, KEY, logger);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
  await google.stop();
});

/** A job that is done is gone: its payload is kept in a table of its own, which the dump has too. */
async function keepPayloads(): Promise<void> {
  await api.database.owner.query(`
    create table app_private.kept_payloads (task_id int, payload text);
    create function app_private.tg_jobs__keep_payload() returns trigger
    language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
    begin
      insert into app_private.kept_payloads values (new.task_id, new.payload::text);
      return null;
    end;
    $$;
    create trigger _900_keep_payload after insert or update of payload on graphile_worker._private_jobs
      for each row execute function app_private.tg_jobs__keep_payload()`);
}

/** Every row of every table of the database as text, the queue included. */
async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: api.database.superuserUrl });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relkind = 'r' and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')`,
  );
  const texts = [];
  for (const { name } of tables) {
    const { rows } = await client.query(
      `select string_agg(t::text, E'\\n') as rows from ${name} t`,
    );
    texts.push(`${name}: ${rows[0].rows ?? ""}`);
  }
  await client.end();
  return texts.join("\n");
}

it("a dump of the database, all job payloads and all logs hold no password, token, code or key in clear", async () => {
  const secrets: Record<string, string> = { password: PASSWORD, key: KEY.CREDENTIALS_KEY };
  const { email, token, refreshToken, userId } = await api.signUp();
  Object.assign(secrets, { accessToken: token, refreshToken });
  const mutate = async (mutation: string, bearer?: string) => {
    const { data, errors } = await api.graphql(`mutation { ${mutation} }`, { token: bearer });
    expect(errors).toEqual([]);
    return data;
  };
  secrets.verification = await secretIn(() => mailsTo(worker.dataDirectory, email));
  const refreshed = await mutate(
    `refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { refreshToken } }`,
  );
  secrets.successor = refreshed.refreshTokens.tokens.refreshToken;
  await mutate('updateMe(input: {patch: {phone: "+49301239999"}}) { user { id } }', token);
  secrets.code = await secretIn(() => smsTo(worker.dataDirectory, "+49301239999"));
  await mutate(
    'registerDevice(input: {token: "device-token-of-nobody-else", deviceType: IOS}) { deviceToken { id } }',
    token,
  );
  await mutate(`requestPasswordReset(input: {identifier: "${email}"}) { clientMutationId }`);
  secrets.reset = await secretIn(() => mailsTo(worker.dataDirectory, email), 2);
  await api.database.owner.query("select app_private.notify($1, 'e', 'A message')", [[userId]]);
  await worker.emulator.phones.nextMessage("device-token-of-nobody-else", 5000);
  await api.graphql(
    `mutation { logIn(input: {identifier: "${email}", password: "a wrong password"}) { tokens { userId } } }`,
  );
  secrets.wrongPassword = "a wrong password";
  google.person = { sub: "1", email: "somebody@gmail.example", email_verified: true };
  const signedIn = await signInWith(api, "google");
  expect(signedIn.errors).toEqual([]);
  const { rows } = await api.database.owner.query(
    "select id from app_public.oauth2_credentials where subject = '1'",
  );
  const provider = await readProviderTokens(
    api.database.owner,
    createKeyring([KEY.CREDENTIALS_KEY], PROVIDER_TOKENS),
    rows[0].id,
  );
  Object.assign(secrets, {
    signInCode: signedIn.code,
    codeVerifier: signedIn.codeVerifier,
    providerAccessToken: provider?.accessToken,
    providerRefreshToken: provider?.refreshToken,
    clientSecret: CLIENT.secret,
  });
  // A code that nobody has exchanged yet, and a provider that fails.
  const { codeVerifier, codeChallenge } = newVerifier();
  secrets.unusedVerifier = codeVerifier;
  const start = startUrl(api, "google", {
    redirect_uri: RETURN_URL,
    code_challenge: codeChallenge,
  });
  secrets.unusedCode = (await openBrowser(api).toApp(start)).searchParams.get("code") as string;
  google.spoil = (response) => response.writeHead(500).end("no");
  expect((await openBrowser(api).toApp(start)).searchParams.get("error")).toBeTruthy();

  // And what follows a link: it ends the sessions, so it comes last.
  secrets.passwordAfterReset = "a password after the reset";
  await mutate(
    `resetPassword(input: {token: "${secrets.reset}", newPassword: "${secrets.passwordAfterReset}"}) { clientMutationId }`,
  );
  const back = await mutate(
    `logIn(input: {identifier: "${email}", password: "${secrets.passwordAfterReset}"}) { tokens { accessToken refreshToken } }`,
  );
  secrets.accessTokenOfLogIn = back.logIn.tokens.accessToken;
  secrets.refreshTokenOfLogIn = back.logIn.tokens.refreshToken;
  secrets.changedPassword = "a password after the change";
  await mutate(
    `changePassword(input: {currentPassword: "${secrets.passwordAfterReset}", newPassword: "${secrets.changedPassword}"}) { user { id } }`,
    back.logIn.tokens.accessToken,
  );

  const everything = await dump();
  // The dump sees what is there: the device's address has to be kept as it is.
  expect(everything).toContain("device-token-of-nobody-else");
  expect(everything).toContain(email);
  const { rows: kept } = await api.database.owner.query(
    `select distinct t.identifier from app_private.kept_payloads k
     join graphile_worker._private_tasks t on t.id = k.task_id order by 1`,
  );
  expect(kept.map(({ identifier }) => identifier)).toEqual(
    expect.arrayContaining([
      "deliver_pushes",
      "fan_out_notification",
      "users__send_notice",
      "users__send_proof",
      "users__start_password_reset",
    ]),
  );
  const logged = log.join("");
  expect(logged).toContain("pushes sent");
  const found = Object.entries(secrets).flatMap(([name, secret]) => [
    ...(new RegExp(`(?<![\\w.:-])${RegExp.escape(secret)}(?![\\w-])`).test(everything)
      ? [`${name} in the database`]
      : []),
    ...(new RegExp(`(?<![\\w.:-])${RegExp.escape(secret)}(?![\\w-])`).test(logged)
      ? [`${name} in a log`]
      : []),
  ]);
  expect(found).toEqual([]);
  for (const address of [email, "+49301239999", "device-token-of-nobody-else"]) {
    expect(logged).not.toContain(address);
  }
});
