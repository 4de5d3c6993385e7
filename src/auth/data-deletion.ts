import { createHmac, timingSafeEqual } from "node:crypto";
import type { Pool } from "pg";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import { type Client, inSql, one } from "./accounts.ts";
import { hashOpaqueToken, newOpaqueToken } from "./opaque-tokens.ts";

/** Facebook's data-deletion callback: its user asks there that what we have from it is deleted. */
export interface DataDeletion {
  /** Carries it out, and returns the code that the person can look it up by. @throws {ApiError} */
  request(signedRequest: string, client: Client): Promise<string>;
  /** When it was carried out. */
  find(confirmationCode: string): Promise<Date | undefined>;
}

const payloadSchema = z.object({
  algorithm: z.literal("HMAC-SHA256"),
  user_id: z.string().regex(/^\d+$/),
});

export function createDataDeletion(options: { pool: Pool; appSecret: string }): DataDeletion {
  const { pool, appSecret } = options;
  return {
    async request(signedRequest, client) {
      const { user_id } = verifySignedRequest(signedRequest, appSecret);
      const code = newOpaqueToken();
      await pool.query("select app_private.delete_by_provider('facebook', $1, $2, $3)", [
        user_id,
        hashOpaqueToken(code),
        inSql(client),
      ]);
      return code;
    },
    async find(confirmationCode) {
      const { at } = await one<{ at: Date | null }>(
        pool,
        "select app_private.data_deletion($1) as at",
        [hashOpaqueToken(confirmationCode)],
      );
      return at ?? undefined;
    },
  };
}

/** signature.payload, both base64url; the signature is the HMAC-SHA-256 of the encoded payload. */
function verifySignedRequest(signedRequest: string, appSecret: string) {
  const [signature = "", payload = "", ...rest] = signedRequest.split(".");
  const expected = createHmac("sha256", appSecret).update(payload).digest();
  const given = Buffer.from(signature, "base64url");
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw unsigned();
  }
  const parsed = payloadSchema.safeParse(
    jsonOf(Buffer.from(payload, "base64url").toString("utf8")),
  );
  if (!parsed.success) throw unsigned();
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unsigned(): ApiError {
  return new ApiError(
    "BAD_USER_INPUT",
    "This is no request that Facebook has signed for this app.",
    {
      field: "signed_request",
    },
  );
}
