import { harmlessName, type Letter, letter } from "./letter.ts";

interface Link {
  firstName: string;
  publicUrl: string;
  token: string;
}

/**
 * The link leads to a page of the app, which calls `verifyEmail` with the token. Who reads this may be
 * somebody whose address another person has entered: what a click gives away is said before it.
 */
export function verificationMail({ firstName, publicUrl, token }: Link): Letter {
  const name = harmlessName(firstName);
  const who = name === undefined ? "Somebody" : `Somebody by the name of "${name}"`;
  return letter("Is this your e-mail address?", undefined, [
    `${who} has entered this e-mail address for their account at ${new URL(publicUrl).host}.`,
    "If that was you, confirm it within 24 hours:",
    { link: `${publicUrl}/verify-email?token=${token}`, label: "Confirm the address" },
    "If it was not you, do not follow the link: it would make your address that of an account to which somebody else has the password. If you do nothing, it stays yours.",
  ]);
}

/** The link leads to a page of the app, which calls `resetPassword` with the token. */
export function passwordResetMail({ firstName, publicUrl, token }: Link): Letter {
  return letter("Reset your password", firstName, [
    `You can set a new password for your account at ${new URL(publicUrl).host} within 30 minutes:`,
    { link: resetLink(publicUrl, token), label: "Set a new password" },
    "If you did not ask for this, there is nothing to do: your password stays as it is.",
  ]);
}

export function passwordResetSms({ publicUrl, token }: Omit<Link, "firstName">): { body: string } {
  return { body: `Set a new password within 30 minutes: ${resetLink(publicUrl, token)}` };
}

export function verificationSms(code: string): { body: string } {
  return { body: `${code} is your code. It is good for 10 minutes. Tell it to nobody.` };
}

function resetLink(publicUrl: string, token: string): string {
  return `${publicUrl}/reset-password?token=${token}`;
}
