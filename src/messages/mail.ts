import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { domainToUnicode } from "node:url";
import { createTransport } from "nodemailer";

export interface Mail {
  to: string;
  subject: string;
  text: string;
  html: string;
}

/** How long an SMTP server may say nothing, milliseconds: whoever waits for it holds up other jobs. */
const PATIENCE = 10_000;

/** Sends a mail, or throws so that the job is tried again. */
export type SendMail = (mail: Mail) => Promise<void>;

/**
 * Sends by SMTP; without SMTP_URL each mail becomes a file `DATA_DIR/mail/*.eml`, whole as it would
 * have gone out, newest last by name.
 */
export function createSendMail(options: {
  smtpUrl: string | undefined;
  from: string;
  dataDirectory: string;
}): SendMail {
  const { smtpUrl, from, dataDirectory } = options;
  // As one address and no header text: nothing in it can name another recipient.
  const addressed = (mail: Mail) => {
    const domain = mail.to.slice(mail.to.lastIndexOf("@") + 1).toLowerCase();
    // SMTP has its own spelling of domains (IDNA): a proof must not go to another domain than the stored one.
    if (domainToUnicode(domain).normalize() !== domain.normalize()) {
      throw new Error("The domain of this e-mail address would be read as another one.");
    }
    return { ...mail, to: { name: "", address: mail.to } };
  };
  if (smtpUrl !== undefined) {
    const smtp = createTransport(
      {
        url: smtpUrl,
        dnsTimeout: PATIENCE,
        connectionTimeout: PATIENCE,
        greetingTimeout: PATIENCE,
        socketTimeout: PATIENCE,
      },
      { from },
    );
    return async (mail) => {
      await smtp.sendMail(addressed(mail));
    };
  }
  const capture = createTransport({ streamTransport: true, buffer: true }, { from });
  return async (mail) => {
    const { message } = await capture.sendMail(addressed(mail));
    await captureFile("SMTP_URL", join(dataDirectory, "mail"), "eml", message as Buffer);
  };
}

/**
 * Writes what would have been sent to a file of its own.
 * @param setting by which it would have been sent
 */
export async function captureFile(
  setting: string,
  directory: string,
  extension: string,
  content: Buffer | string,
): Promise<void> {
  const name = `${new Date().toISOString().replaceAll(":", "-")}-${randomUUID().slice(0, 8)}`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(join(directory, `${name}.${extension}`), content, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${setting} is not set, and ${directory} cannot be written instead (${code}).`);
  }
}
