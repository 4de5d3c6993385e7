import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PROVIDER_TOKENS, readProviderTokens } from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import { createLogger } from "../../src/logger.ts";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { newVerifier, openBrowser, RETURN_URL, signInWith, startUrl } from "../support/browser.ts";
import { mailsTo, secretIn, smsTo } from "../support/mailbox.ts";
import { CLIENT, type FakeGoogle, startGoogle } from "../support/providers.ts";
import {
  dumpOf,
  expectNoSecrets,
  forgetSecret,
  learnSecret,
  searchedLogger,
} from "../support/secrets.ts";
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
  worker = await startTestWorker(api.database, KEY, logger);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
  await google.stop();
});

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

  const everything = await dumpOf(api.database.superuserUrl);
  // The dump sees what is there: the device's address has to be kept as it is.
  expect(everything).toContain("device-token-of-nobody-else");
  expect(everything).toContain(email);
  const { rows: kept } = await api.database.owner.query(
    `select distinct t.identifier from kept.payloads k
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

it("every database of the suite is searched like this before it is dropped, and every log", async () => {
  const { superuserUrl, owner } = api.database;
  await expectNoSecrets(superuserUrl);
  const planted = "planted-where-it-is-not-to-be";
  learnSecret(planted);
  await owner.query(
    "insert into app_public.items (user_id, title) select min(id), $1 from app_public.users",
    [`see token=${planted}`],
  );
  await expect(expectNoSecrets(superuserUrl)).rejects.toThrow(`in the database: ${planted}`);
  await owner.query("delete from app_public.items where title like 'see token=%'");
  await owner.query("select graphile_worker.add_job('no_such_task', $1)", [{ planted }]);
  await expect(expectNoSecrets(superuserUrl)).rejects.toThrow(`in the database: ${planted}`);
  await owner.query("delete from graphile_worker._private_jobs");
  await expect(expectNoSecrets(superuserUrl)).rejects.toThrow(planted);
  forgetSecret(planted);
  searchedLogger.info({ planted }, "said");
  learnSecret(planted);
  await expect(expectNoSecrets(superuserUrl)).rejects.toThrow(`in a log: ${planted}`);
  forgetSecret(planted);
});
