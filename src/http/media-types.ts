import type { IncomingMessage } from "node:http";
import accepts from "accepts";
import { LRUCache } from "lru-cache";
import { ApiError } from "../errors.ts";
import { GRAPHQL_RESPONSE, JSON_TYPE, sendGraphQLError } from "./errors.ts";
import type { Step } from "./step.ts";

const UTF8 = /;\s*charset\s*=\s*"?utf-?8"?\s*(?=[;,]|$)/gi;

/**
 * Settles what goes in and out (RFC 9110, 8.3 and 12.5.1), so that GraphQL reads neither header but in its
 * plainest form: what cannot be read is 4xx here.
 */
export const plainMediaTypes: Step = (request, response, next) => {
  const { headers } = request;
  const { accept = "", "content-type": contentType } = headers;
  // Who takes anything gets application/json, as GraphQL over HTTP has it: that is what old clients read.
  headers.accept =
    accept.trim() === "" || accept.trim() === "*/*" ? JSON_TYPE : accept.replace(UTF8, "");
  const accepted = acceptedBy(request, headers.accept);
  if (!accepted) {
    headers.accept = JSON_TYPE;
    return refuse(
      406,
      `Answers are ${GRAPHQL_RESPONSE} or ${JSON_TYPE}: Accept must name one of them.`,
    );
  }
  headers.accept = accepted;
  if (contentType !== undefined) {
    const plain = contentType.replace(UTF8, "").trim().toLowerCase();
    if (/;\s*charset\s*=/.test(plain)) {
      return refuse(415, "JSON is UTF-8: Content-Type must not name another charset.");
    }
    headers["content-type"] = plain;
  }
  next();

  function refuse(status: number, message: string): void {
    sendGraphQLError(response, status, new ApiError("BAD_USER_INPUT", message));
  }
};

/** Clients are many, and what they accept is one of few headers. */
const answers = new LRUCache<string, string>({ max: 100 });

function acceptedBy(request: IncomingMessage, accept: string): string | undefined {
  let answer = answers.get(accept);
  if (answer === undefined) {
    answer = String(accepts(request).types([GRAPHQL_RESPONSE, JSON_TYPE]) || "");
    if (accept.length < 1000) answers.set(accept, answer);
  }
  return answer || undefined;
}
