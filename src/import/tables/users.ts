import { asTheyAre, type ImportTable, type Kind, readParts } from "../table.ts";

const columns = {
  first_name: "text",
  last_name: "text",
  email: "text",
  email_verified: "boolean",
  phone: "text",
  phone_verified: "boolean",
  picture: "text",
  password_hash: "text",
  reset_token_expires: "time",
  last_logged_in: "time",
  timezone: "text",
  deleted_at: "time",
  is_deleted: "boolean",
} as const satisfies Record<string, Kind>;

/** People. A link to reset a password is not moved: Howdah makes its own. */
export const users: ImportTable = {
  name: "users",
  target: "app_public.users",
  keepsIds: true,
  columns,
  staged: { ...asTheyAre(columns), email: "public.citext" },
  batchSize: 1000,
  ...readParts("users"),
};
