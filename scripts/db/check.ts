import { randomBytes } from "node:crypto";
import pg from "pg";
import { withUser } from "../../src/database/connections.ts";
import { createThrowawayDatabase } from "../../src/database/throwaway.ts";
import { LAST_OLD_MIGRATION, unannouncedBreaks } from "../check-migrations.ts";
import { DatabaseCommandError, inDatabase } from "./databases.ts";

/** `npm run db:check`: every committed migration that breaks something says so. */
export async function check(): Promise<void> {
  const password = randomBytes(24).toString("base64url");
  const throwaway = await createThrowawayDatabase(password);
  try {
    const client = new pg.Client({ connectionString: throwaway.superuserUrl });
    await client.connect();
    await client.query("create database judged owner howdah_owner");
    await client.end();
    const ownerUrl = inDatabase(throwaway.ownerUrl, "judged");
    const found = await unannouncedBreaks({
      ownerUrl,
      authenticatorUrl: withUser(ownerUrl, "howdah_authenticator", password),
      authenticatorPassword: password,
      after: LAST_OLD_MIGRATION,
    });
    if (found.length > 0) throw new DatabaseCommandError(found.join("\n\n"));
    console.log("No committed migration breaks anything without saying so.");
  } finally {
    await throwaway.drop();
  }
}
