import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Respond } from "../../src/push/emulator/faults.ts";
import { createMessaging, sendMessage } from "../../src/push/messaging.ts";
import { outcomeOf } from "../../src/push/outcome.ts";
import { useEmulator } from "../support/emulator.ts";
import { type OtherAnswer, useOtherFcm } from "../support/other-fcm.ts";
import { until } from "../support/until.ts";

const used = useEmulator();
const other = useOtherFcm();

/** What becomes of a delivery that the emulator answers so. */
async function outcome(respond: Respond, address: object = { token: "a" }, retryAfter?: number) {
  used.emulator.faults.add({ respond, ...(retryAfter === undefined ? {} : { retryAfter }) });
  return outcomeOf(
    await sendMessage(used.firebase.messaging, () => address as { token: string }).answer,
    1,
  );
}

describe("the outcome of a delivery", () => {
  it.each([
    ["UNREGISTERED", "dead_address", "UNREGISTERED"],
    ["INVALID_ARGUMENT", "dead_address", "INVALID_ARGUMENT"],
    ["INVALID_TOKEN", "dead_address", "INVALID_ARGUMENT"],
    ["APNS_UNREGISTERED", "dead_address", "INVALID_ARGUMENT"],
    ["INVALID_PAYLOAD", "failed", "INVALID_ARGUMENT"],
    ["SENDER_ID_MISMATCH", "retrying", "SENDER_ID_MISMATCH"],
    ["PERMISSION_DENIED", "retrying", "PERMISSION_DENIED"],
    ["THIRD_PARTY_AUTH_ERROR", "retrying", "THIRD_PARTY_AUTH_ERROR"],
    ["UNAUTHENTICATED", "retrying", "UNAUTHENTICATED"],
    ["QUOTA_EXCEEDED", "retrying", "QUOTA_EXCEEDED"],
    ["DEVICE_QUOTA_EXCEEDED", "retrying", "QUOTA_EXCEEDED"],
    ["RATE_LIMIT_EXCEEDED", "retrying", "RESOURCE_EXHAUSTED"],
    ["INTERNAL", "retrying", "INTERNAL"],
  ] as const)("that FCM answers with %s is %s", async (respond, status, error_code) => {
    expect(await outcome(respond)).toMatchObject({ status, error_code });
  });

  it("is dead_address for an installation id that is no good", async () => {
    const address = { fid: "a" };
    expect(await outcome("INVALID_ARGUMENT", address)).toMatchObject({ status: "dead_address" });
  });

  it("is retried no sooner than Retry-After says", async () => {
    const answer = await outcome("RATE_LIMIT_EXCEEDED", undefined, 3600);
    expect(answer.retry_after).toBe(3600);
  });

  const answer = (status: number, data: unknown, headers = {}, attempts = 1) =>
    outcomeOf(
      { success: false, error: { code: "x", httpResponse: { status, data, headers } } },
      attempts,
    );

  it.each([
    ["QUOTA_EXCEEDED", 429, 60],
    ["INTERNAL", 500, 1],
  ])(
    "without Retry-After of %s (%s) waits from %s s on, twice as long each time, to an hour",
    (code, status, first) => {
      const waits = (attempts: number) =>
        Array.from({ length: 50 }, () => {
          const { retry_after = 0 } = answer(status, { error: { status: code } }, {}, attempts);
          return retry_after;
        });
      for (const attempts of [1, 2, 3]) {
        const least = first * 2 ** (attempts - 1);
        expect(Math.min(...waits(attempts))).toBeGreaterThanOrEqual(least);
        expect(Math.max(...waits(attempts))).toBeLessThanOrEqual(1.5 * least);
        // At random: those that failed together do not come back together.
        expect(new Set(waits(attempts)).size).toBeGreaterThan(1);
      }
      expect(Math.max(...waits(50))).toBeLessThanOrEqual(3600);
    },
  );

  it.each([
    ["details that are no list", answer(500, { error: { details: {} } }), "retrying"],
    ["details of nothing", answer(500, { error: { details: [null, 1, "x"] } }), "retrying"],
    ["a text for a body", answer(200, "<html>"), "unknown"],
    ["a redirection", answer(302, ""), "retrying"],
    ["a proxy that wants to know who asks", answer(407, ""), "retrying"],
    ["a time-out of a proxy", answer(408, ""), "retrying"],
    ["nothing at all", outcomeOf({ success: false, error: undefined }, 1), "unknown"],
  ])(
    "of %s is no exception, which would stop the others of its batch",
    (_what, outcome, status) => {
      expect(outcome.status).toBe(status);
    },
  );

  it("can be stored, whatever FCM says, and waits for a day at most", () => {
    const { error_code } = answer(400, { error: { status: "A\0B\ud800" } });
    expect(error_code).toBe("AB\ufffd");
    const messageId = "projects/p/messages/a\0b";
    expect(outcomeOf({ success: true, messageId }, 1).message_id).toBe("projects/p/messages/ab");
    expect(answer(500, {}, { "retry-after": "99999999999999" }).retry_after).toBe(86_400);
  });

  it("has what FCM objected to, with the field, without tokens and addresses, in 500 characters", () => {
    const told = (message: unknown, details?: unknown) =>
      answer(400, { error: { status: "INVALID_ARGUMENT", message, details } }).error_message;
    const field = [{ fieldViolations: [{ field: "message.data" }] }];
    expect(told("Invalid value", field)).toBe("Invalid value (message.data)");
    expect(told("Invalid value at 'message.data[0].value' (TYPE_STRING), 12")).toBe(
      "Invalid value at 'message.data[0].value' (TYPE_STRING), 12",
    );
    const token =
      "dGVzdA12:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ-hQMRKRrZuJAEcl7B338qju";
    expect(told(`No such token: "${token}", of a@b.example, by ya29.c.b0AXv0zTM.`)).toBe(
      'No such token: "[removed]", of [removed], by [removed].',
    );
    expect(told("a ".repeat(600))).toHaveLength(500);
    expect(told({ text: "no text" })).toBeUndefined();
    // A proxy's page may have anything in it.
    expect(answer(502, "<html>secret</html>").error_message).toBeUndefined();
  });

  it("is failed for a payload that FCM refuses itself", async () => {
    const answered = await sendMessage(used.firebase.messaging, () => ({
      token: "a",
      data: { gcm: "x" },
    })).answer;
    expect(outcomeOf(answered, 1)).toMatchObject({ status: "failed" });
  });

  it("is failed for a message that cannot even be built, so that the others of its batch go out", async () => {
    const answered = await sendMessage(used.firebase.messaging, () => {
      throw new TypeError("no such thing");
    }).answer;
    expect(outcomeOf(answered, 1)).toMatchObject({ status: "failed", error_code: "TypeError" });
  });

  /** What becomes of it where something else than FCM answers, over TLS. */
  async function otherwise(answer: OtherAnswer) {
    other.answer = answer;
    const before = other.requests;
    const message = { token: "a" };
    const outcome = outcomeOf(await sendMessage(other.firebase.messaging, () => message).answer, 1);
    expect(other.requests).toBe(before + 1);
    return outcome;
  }
  const PAGES = ["<html>", "", '{"foo":1}', '{"error":"nope"}', '{"error":{"code":400}}', "[]"];

  it.each([401, 403, 404])(
    "that a page answers with %s pauses everything, and fails nothing",
    async (status) => {
      for (const body of PAGES) {
        const outcome = await otherwise({ status, body });
        expect(outcome, body).toMatchObject({
          status: "retrying",
          error_code: `HTTP_${status}`,
          pause: "project",
        });
      }
    },
  );

  it("that a page answers with 429 waits for Retry-After, or a minute, and everything with it", async () => {
    for (const body of PAGES) {
      const headers = { "retry-after": "500" };
      expect(await otherwise({ status: 429, body, headers }), body).toEqual({
        status: "retrying",
        error_code: "HTTP_429",
        pause: "project",
        retry_after: 500,
      });
      expect((await otherwise({ status: 429, body })).retry_after).toBeGreaterThanOrEqual(60);
    }
  });

  it.each([400, 405, 413, 500, 503])(
    "that a page answers with %s is an outage: FCM itself said nothing",
    async (status) => {
      for (const body of PAGES) {
        expect(await otherwise({ status, body }), body).toMatchObject({
          status: "retrying",
          error_code: `HTTP_${status}`,
          pause: "outage",
        });
      }
    },
  );

  it("that names no message is unknown, however fine it looks", async () => {
    const names = ['{"name":5}', '{"name":"5"}', '{"name":""}', "null", '{"name":"projects/p/mess'];
    for (const body of [...PAGES, ...names]) {
      expect(await otherwise({ status: 200, body }), body).toMatchObject({ status: "unknown" });
    }
    const name = "projects/p/messages/0:1500415314455276%31bd1c9631bd1c96";
    expect(await otherwise({ status: 200, body: JSON.stringify({ name }) })).toEqual({
      status: "accepted",
      message_id: name,
    });
  });

  it("that is 503 comes at once with FCM's own Retry-After, and is not asked for again", async () => {
    for (const seconds of ["45", "3", "120"]) {
      const headers = { "retry-after": seconds };
      const { retry_after } = await otherwise({ status: 503, headers });
      expect(retry_after).toBe(Number(seconds));
    }
    expect((await otherwise({ status: 503 })).retry_after).toBeLessThanOrEqual(1.5);
  });

  it("where nobody listens is an outage: nothing has left", async () => {
    const { messaging, close } = createMessaging({ kind: "emulator", host: "127.0.0.1:1" });
    const { answer } = sendMessage(messaging, () => ({ token: "a" }));
    expect(outcomeOf(await answer, 1)).toMatchObject({ status: "retrying", pause: "outage" });
    await close();
  });

  it.each([
    [
      "Error while making request: getaddrinfo ENOTFOUND oauth2.googleapis.com. Error code: ENOTFOUND",
      "app/network-error",
      "outage",
    ],
    [
      "request to https://oauth2.googleapis.com/token failed, reason: connect ECONNREFUSED 127.0.0.1:443",
      "app/network-error",
      "outage",
    ],
    ["invalid_grant (Invalid JWT Signature.)", "app/invalid-credential", "project"],
  ])(
    "for want of an access token is Google's fault or ours by what was heard: %s",
    (heard, error_code, pause) => {
      // As firebase-admin says it.
      const error = Object.assign(
        new Error(
          `Credential implementation provided to initializeApp() via the "credential" property failed to fetch a valid Google OAuth2 access token with the following error: "Error fetching access token: ${heard}".`,
        ),
        { code: "app/invalid-credential" },
      );
      expect(outcomeOf({ success: false, error }, 1)).toMatchObject({
        status: "retrying",
        error_code,
        pause,
      });
    },
  );

  it.each([429, 500, 503])(
    "is an outage where %i is all that is said of an access token",
    (status) => {
      const error = Object.assign(
        new Error('…with the following error: "Error fetching access token: <html>".', {
          cause: Object.assign(new Error("<html>"), { status }),
        }),
        { code: "app/invalid-credential" },
      );
      expect(outcomeOf({ success: false, error }, 1)).toMatchObject({
        error_code: "app/network-error",
        pause: "outage",
      });
    },
  );

  it("that is given up is not sent any more, and hung up on where it was", async () => {
    const { messaging } = used.firebase;
    const early = sendMessage(messaging, () => ({ token: "early" }));
    early.giveUp();
    expect(await early.answer).toMatchObject({ success: false });
    used.emulator.faults.add({ match: "silent", respond: "ACCEPT", delay: 60_000 });
    const late = sendMessage(messaging, () => ({ token: "silent" }));
    await until(
      async () => used.emulator.faults.list()[0]?.applied,
      (applied) => applied === 1,
    );
    late.giveUp();
    expect(await late.answer).toMatchObject({ success: false });
    // One after the other: what would still have come has come by then.
    await outcome("ACCEPT", { token: "later" });
    for (const token of ["early", "silent"])
      expect(used.emulator.phones.messages(token)).toEqual([]);
  });
});

describe("a service account", () => {
  it.each([
    ["that is not there", undefined, /the file cannot be read \(ENOENT\)/],
    ["that is not JSON", "-----BEGIN SECRET", /the file is not JSON/],
    ["that lacks something", '{"project_id": "p"}', /the file has no client_email, private_key\./],
    [
      "whose key is none",
      '{"project_id": "p", "client_email": "a@b", "private_key": "SECRET"}',
      /the file has a private_key that is none/,
    ],
  ])("%s is told by the name of its setting, without what is in it", async (_what, text, says) => {
    const folder = await mkdtemp(join(tmpdir(), "howdah-account-"));
    const path = join(folder, "account.json");
    if (text !== undefined) await writeFile(path, text);
    try {
      const start = () => createMessaging({ kind: "google", serviceAccountPath: path });
      expect(start).toThrow(says);
      expect(start).toThrow(/^FIREBASE_SERVICE_ACCOUNT \(or GOOGLE_APPLICATION_CREDENTIALS\)/);
      expect(start).not.toThrow(/SECRET/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
