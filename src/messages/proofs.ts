import { type Letter, letter } from "./letter.ts";

interface Link {
  firstName: string;
  publicUrl: string;
  token: string;
}

/** The link leads to a page of the app, which calls `verifyEmail` with the token. */
export function verificationMail({ firstName, publicUrl, token }: Link): Letter {
  return letter("Is this your e-mail address?", firstName, [
    "Please confirm your e-mail address within 24 hours:",
    { link: `${publicUrl}/verify-email?token=${token}`, label: "Confirm the address" },
    "If you did not ask for this, there is nothing to do.",
  ]);
}

/** The link leads to a page of the app, which calls `resetPassword` with the token. */
export function passwordResetMail({ firstName, publicUrl, token }: Link): Letter {
  return letter("Reset your password", firstName, [
    "You can set a new password within 30 minutes:",
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
