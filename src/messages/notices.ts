import { type Letter, letter } from "./letter.ts";

/** The changes that a user is told of; app_private.send_notice() names them. */
export const NOTICES = [
  "password_changed",
  "password_reset",
  "email_change_requested",
  "phone_change_requested",
  "sign_up_with_your_address",
  "identity_linked",
  "identity_unlinked",
] as const;

export type Notice = (typeof NOTICES)[number];

const WORDS: Readonly<Record<Notice, [subject: string, text: string]>> = {
  password_changed: [
    "Your password was changed",
    "Your password was changed, and your other devices were logged out.",
  ],
  password_reset: [
    "Your password was reset",
    "Your password was set anew by a link that was sent to you, and all devices were logged out.",
  ],
  email_change_requested: [
    "Your e-mail address is about to change",
    "Somebody who is logged in as you has asked to change your e-mail address.",
  ],
  phone_change_requested: [
    "Your phone number is about to change",
    "Somebody who is logged in as you has asked to change your phone number.",
  ],
  sign_up_with_your_address: [
    "You have an account already",
    "Somebody, perhaps you, tried to sign up with your e-mail address, which has an account already: log in, or reset the password.",
  ],
  identity_linked: [
    "Another way to log in",
    "You can now log in to your account with an account elsewhere (Google, GitHub or Facebook) that was linked to it.",
  ],
  identity_unlinked: [
    "One way less to log in",
    "An account elsewhere (Google, GitHub or Facebook) was taken away from yours: you cannot log in with it any more.",
  ],
};

const IF_NOT_YOU = "If that was not you, reset your password at once, and look at your sessions.";

/** A new password alone would leave it. */
const UNLINK_IT =
  "If that was not you, log in and unlink it, then reset your password at once, and look at your sessions.";

/** Where it was not the user, and nobody has got any further. */
const NOTHING_TO_DO = "If that was not you, there is nothing to do: nobody got into your account.";

export function noticeMail(notice: Notice, firstName: string): Letter {
  const [subject, text] = WORDS[notice];
  return letter(subject, firstName, [text, ifNotYou(notice)]);
}

export function noticeSms(notice: Notice): { body: string } {
  const [, text] = WORDS[notice];
  return { body: `${text} ${ifNotYou(notice)}` };
}

function ifNotYou(notice: Notice): string {
  if (notice === "sign_up_with_your_address") return NOTHING_TO_DO;
  return notice === "identity_linked" ? UNLINK_IT : IF_NOT_YOU;
}
