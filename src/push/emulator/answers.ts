import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import type { Status } from "./refusals.ts";

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  // With an end of line: people look at it in a terminal.
  const content = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json; charset=UTF-8",
    "content-length": Buffer.byteLength(content),
    ...headers,
  });
  response.end(content);
}

/** An error as Google writes it. */
export function sendStatus(
  response: ServerResponse,
  error: Status,
  retryAfter?: number | undefined,
): void {
  const headers = retryAfter === undefined ? undefined : { "retry-after": String(retryAfter) };
  sendJson(response, error.code, { error }, headers);
}

/** What a proxy in between says where it cannot reach Google. */
export function sendHtml(response: ServerResponse, retryAfter: number | undefined): void {
  response.writeHead(502, {
    "content-type": "text/html; charset=UTF-8",
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
  response.end(
    "<!DOCTYPE html>\n<html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1></html>\n",
  );
}

/** Loses the connection; of an HTTP/2 connection, one stream. */
export function reset(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (stream) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.socket?.destroy();
}

/** Tells an HTTP/2 client to go before it was served. */
export function goAway(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  const session = stream?.session;
  if (!stream || !session) {
    reset(response);
    return;
  }
  session.goaway(constants.NGHTTP2_NO_ERROR, Math.max(0, (stream.id ?? 0) - 2));
  stream.close(constants.NGHTTP2_REFUSED_STREAM);
  session.close();
}
