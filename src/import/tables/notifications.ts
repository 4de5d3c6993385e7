import { asTheyAre, type ImportTable, type Kind, readParts } from "../table.ts";

const columns = {
  users: "ints",
  event: "text",
  message: "text",
  sent_status: "boolean",
} as const satisfies Record<string, Kind>;

/** What was said. It is final: nothing of it is ever pushed. Each may hold an array of all users. */
export const notifications: ImportTable = {
  name: "notifications",
  target: "app_public.notifications",
  keepsIds: true,
  columns,
  staged: asTheyAre(columns),
  batchSize: 25,
  ...readParts("notifications"),
};
