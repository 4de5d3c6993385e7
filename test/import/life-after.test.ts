import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readProviderTokens } from "../../src/auth/provider-tokens.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { CREDENTIALS_KEY, importFrom, keyring } from "../support/import.ts";
import { type FakeGoogle, startGoogle } from "../support/providers.ts";
import { createPushes } from "../support/pushes.ts";
import { createTemplateDatabase } from "../support/template.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let google: FakeGoogle;
let api: TestApi;
let worker: TestWorker;

beforeAll(async () => {
  google = await startGoogle();
  api = await startTestApi({
    environment: { ...google.environment, ALLOWED_REDIRECTS: RETURN_URL, CREDENTIALS_KEY },
  });
  // While the import runs, too: nothing of it may be taken for work.
  worker = await startTestWorker(api.database);
  const template = await createTemplateDatabase();
  await template.pool.query(`
    insert into users (id, first_name, email) values (41, 'Grace', 'grace@example.com');
    insert into oauth2_credentials (id, user_id, provider, email, access_token, refresh_token)
    values (7, 41, 'google', 'grace.at.google@example.com', 'old-access', 'old-refresh');
    insert into device_tokens (user_id, token, device_type) values (41, 'old-phone', 'android');
    insert into notifications (users, event, message, sent_status)
    select '{41}', 'order.shipped', 'Old news', n % 2 = 0 from generate_series(1, 50) n`);
  await importFrom(template.url, api.database);
  await template.drop();
}, 60_000);
afterAll(async () => {
  await worker.stop();
  await api.stop();
  await google.stop();
});

describe("after an import", () => {
  it("a phone gets what is said from then on, and nothing of what was said before", async () => {
    const { notify, settled } = createPushes(api.database);
    const { status } = await settled(await notify([41]));
    expect(status).toBe("sent");
    const messages = worker.emulator.phones.messages("old-phone");
    expect(messages.map(({ message }) => message.notification)).toEqual([
      { title: "A title", body: "A message" },
    ]);
  });

  it("who signs in with Google is who they were, by the address that Google verified", async () => {
    google.person = {
      sub: "grace-at-google",
      email: "Grace.At.Google@example.com",
      email_verified: true,
    };
    const { tokens, errors } = await signInWith(api, "google");
    expect(errors).toEqual([]);
    expect(tokens.userId).toBe(41);
    const { rows } = await api.database.owner.query(
      "select id, subject from app_public.oauth2_credentials where user_id = 41",
    );
    expect(rows).toEqual([{ id: 7, subject: "grace-at-google" }]);
    const provided = await readProviderTokens(api.database.owner, keyring, 7);
    expect(provided?.accessToken).not.toBe("old-access");
    const inbox = await api.graphql(
      "{ me { unreadNotificationCount } notifications(last: 1) { totalCount } }",
      { token: tokens.accessToken },
    );
    expect(inbox.data).toEqual({
      me: { unreadNotificationCount: 1 },
      notifications: { totalCount: 51 },
    });
  });
});
