import { Router, urlencoded } from "express";
import { z } from "zod";
import type { DataDeletion } from "../auth/data-deletion.ts";
import { ApiError } from "../errors.ts";

const bodySchema = z.object({ signed_request: z.string() });

/** Facebook posts here; the person whom it sends on reads how it went. */
export function dataDeletionRoutes(options: {
  dataDeletion: DataDeletion;
  publicUrl: string;
}): Router {
  const { dataDeletion, publicUrl } = options;
  const router = Router();

  router.post("/", urlencoded({ extended: false, limit: "10kb" }), async (request, response) => {
    const body = bodySchema.safeParse(request.body);
    if (!body.success) {
      throw new ApiError("BAD_USER_INPUT", "signed_request is missing.", {
        field: "signed_request",
      });
    }
    const code = await dataDeletion.request(body.data.signed_request, {
      ip: request.ip,
      userAgent: request.get("user-agent"),
    });
    // The names are Facebook's.
    response.json({
      url: `${publicUrl}/auth/facebook/data-deletion/${code}`,
      confirmation_code: code,
    });
  });

  router.get("/:code", async (request, response) => {
    const at = await dataDeletion.find(request.params.code);
    if (!at) throw new ApiError("NOT_FOUND", "There is no deletion with this confirmation code.");
    response
      .type("text/plain")
      .send(`What this service had from Facebook about you was deleted at ${at.toISOString()}.\n`);
  });

  return router;
}
