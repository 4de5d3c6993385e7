import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { sendJson } from "./answers.ts";

/** The paths of Google's token endpoint, old and new, on whatever host. */
export const TOKEN_PATHS = new Set(["/token", "/oauth2/v4/token", "/o/oauth2/token"]);

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * The OAuth 2 exchange of a service account (RFC 7523) or of a refresh token (RFC 6749, 6). The
 * form is checked; no signature is, because any key will do here.
 */
export function handleToken(response: ServerResponse, body: string, contentType = ""): void {
  const form = contentType.includes("json") ? jsonForm(body) : new URLSearchParams(body);
  const grant = form.get("grant_type");
  const refuse = (error: string, error_description: string) =>
    sendJson(response, 400, { error, error_description });
  if (grant === null) {
    refuse("invalid_request", "Required parameter is missing: grant_type");
  } else if (grant !== JWT_BEARER && grant !== "refresh_token") {
    refuse("unsupported_grant_type", `Invalid grant_type: ${grant}`);
  } else if (grant === JWT_BEARER && !JWT.test(form.get("assertion") ?? "")) {
    refuse("invalid_grant", "Bad Request: assertion is no JWT");
  } else if (grant === "refresh_token" && !form.get("refresh_token")) {
    refuse("invalid_request", "Required parameter is missing: refresh_token");
  } else {
    sendJson(response, 200, {
      access_token: `emulated-${randomUUID()}`,
      expires_in: 3600,
      token_type: "Bearer",
    });
  }
}

function jsonForm(body: string): URLSearchParams {
  try {
    return new URLSearchParams(JSON.parse(body) as Record<string, string>);
  } catch {
    return new URLSearchParams();
  }
}
