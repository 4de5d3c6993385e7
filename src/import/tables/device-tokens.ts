import { asTheyAre, type ImportTable, type Kind, readParts } from "../table.ts";

const columns = {
  user_id: "int",
  token: "text",
  device_type: "text",
  updated_at: "time",
} as const satisfies Record<string, Kind>;

/** Phones: a token that has been registered here meanwhile stays with who registered it. */
export const deviceTokens: ImportTable = {
  name: "device_tokens",
  target: "app_public.device_tokens",
  keepsIds: true,
  columns,
  staged: asTheyAre(columns),
  batchSize: 1000,
  ...readParts("device_tokens"),
};
