import { createHmac } from "node:crypto";
import { join } from "node:path";
import { captureFile } from "./mail.ts";

export interface Sms {
  /** E.164. */
  to: string;
  body: string;
}

/** Sends an SMS, or throws so that the job is tried again. */
export type SendSms = (sms: Sms) => Promise<void>;

/** How long the webhook may take, milliseconds. */
const TIMEOUT = 10_000;

/**
 * Hands an SMS to the webhook as `{"to","body","at"}`, signed in `X-Howdah-Signature` as
 * `t=<unix seconds>,v1=<HMAC-SHA-256 of "t.body", hex>`; without a webhook it becomes a file
 * `DATA_DIR/sms/*.json`.
 */
export function createSendSms(options: {
  webhook: { url: string; secret: string } | undefined;
  dataDirectory: string;
}): SendSms {
  const { webhook, dataDirectory } = options;
  return async ({ to, body }) => {
    const at = new Date();
    const content = JSON.stringify({ to, body, at: at.toISOString() });
    if (webhook === undefined) {
      await captureFile("SMS_WEBHOOK_URL", join(dataDirectory, "sms"), "json", content);
      return;
    }
    const timestamp = Math.floor(at.getTime() / 1000);
    const signature = createHmac("sha256", webhook.secret)
      .update(`${timestamp}.${content}`)
      .digest("hex");
    const response = await fetch(webhook.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-howdah-signature": `t=${timestamp},v1=${signature}`,
      },
      body: content,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (!response.ok) throw new Error(`The SMS webhook answered ${response.status}.`);
  };
}
