/** Why a row was skipped, by `reason`; a check constraint of the target speaks for itself. */
const SKIPPED: Readonly<Record<string, string>> = {
  id_taken: "another row has this id here, such as demo data or one made here since",
  id_out_of_range: "ids go from 1 to 2147483646",
  deleted_here: "moved by an earlier run, and deleted here since",
  user_missing: "its user does not exist in the old database",
  user_skipped: "its user was skipped",
  user_deleted: "its user's account is closed, and a closed account keeps nothing",
  token_revoked: "not live any more",
  token_expired: "not live any more",
  token_unusable: "shorter than 32 characters or longer than 4,096: these users log in again",
  token_known_here: "this refresh token is known here already",
  token_twice: "the same token as another row, which was taken",
  too_many_sessions: "a user has at most 20 sessions; those used last were taken",
  device_type_unknown: "neither ios nor android nor web",
  device_registered_here: "this device has registered here itself",
  provider_unknown: "neither google nor github nor facebook",
  credential_twice: "the same user, provider and e-mail as another row, which was taken",
  no_users: "it is for nobody",
  no_known_user: "none of its users was moved",
  message_too_long: "more than 100,000 characters",
  data_invalid: "its data is no JSON that PostgreSQL's jsonb takes (\\u0000, half characters)",
  data_too_deep: "brackets within brackets, more than 100 levels of them",
};

/** What became of a row that is here, by `notes`. */
const NOTED: Readonly<Record<string, string>> = {
  changed_in_source:
    "moved by an earlier run, changed in the old database since, left as it is here",
  created_at_missing: "created_at was null, and is the time of the import",
  account_closed: "moved as a closed account: the id stays, name and addresses go",
  first_name_missing: "without a first name: the last name took its place, or User",
  name_shortened: "a name had more than 100 characters or control characters",
  reset_link_ends: "a link to reset a password was under way, and has to be asked for again",
  email_invalid: "the e-mail address is none, and was left out",
  email_of_another: "another user has the same e-mail address in other letters, and keeps it",
  email_taken_here: "a user who is here already has this e-mail address, and keeps it",
  phone_invalid: "the phone number has no country code or is none, and was left out",
  phone_of_another: "another user has the same phone number in other writing, and keeps it",
  phone_taken_here: "a user who is here already has this phone number, and keeps it",
  picture_invalid: "the picture is no http(s) URL, and was left out",
  timezone_unknown: "no time zone, or none that is known: it became UTC",
  password_hash_unknown: "the password hash is neither bcrypt nor Argon2: a reset makes a new one",
  device_info_shortened: "device_info had more than 500 characters",
  unknown_users_left_out: "some of its users were not moved, and were left out",
  event_renamed: "its event was rewritten in Howdah's form; the old name is template_event in data",
  never_sent: "had not been sent, and never will be: its status is CANCELED",
  facebook_to_be_linked:
    "Facebook vouches for no address: these users log in another way first, and link it again",
  provider_account_of_several:
    "several users have it: the next sign-in goes by the e-mail address of the user",
  provider_token_too_long: "a provider's token had more than 100,000 characters, and was left out",
};

const LOCKED_OUT = "locked_out_";

/** In words, where there are any. */
export function inWords(code: string): string | undefined {
  if (code.startsWith(LOCKED_OUT)) {
    return `no way to log in would be left: ${NOTED[code.slice(LOCKED_OUT.length)]}`;
  }
  return SKIPPED[code] ?? NOTED[code];
}
