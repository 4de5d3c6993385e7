import type { Pool } from "pg";
import type { WebSocket } from "ws";
import type { AccessTokens, Identity } from "../auth/access-tokens.ts";
import { verifySession } from "../database/request-settings.ts";
import { ApiError } from "../errors.ts";
import { UNAVAILABLE_MESSAGE } from "../graphql/errors.ts";
import type { LiveEvents } from "../graphql/live-events.ts";

/**
 * As it was sent: what is there and is no bearer token must be refused, not overlooked. One spelling
 * only: whoever reads another one would take the socket for somebody else's.
 * @throws {ApiError} UNAUTHENTICATED
 */
export function authorizationOf(params: Record<string, unknown> | undefined): string | undefined {
  const found = Object.entries(params ?? {}).filter(
    ([name]) => name.toLowerCase() === "authorization",
  );
  const nested = (params?.headers ?? {}) as Record<string, unknown>;
  const isNested = Object.keys(nested).some((name) => name.toLowerCase() === "authorization");
  const [first] = found;
  const value = first?.[1] ?? undefined;
  if (found.length > 1 || isNested || (value !== undefined && typeof value !== "string")) {
    throw new ApiError(
      "UNAUTHENTICATED",
      'connectionParams must be {authorization: "Bearer …"}, or empty.',
    );
  }
  return value;
}

/**
 * 4403 where the token or its session is no good; 1013, try again later, where nobody could tell: a client
 * must not take that for a log-out.
 */
export function refuseSocket(socket: WebSocket, error: unknown): void {
  if (error instanceof ApiError && error.code === "UNAUTHENTICATED") {
    socket.close(4403, error.message);
  } else if ((error as { code?: unknown } | undefined)?.code === "HWREV") {
    socket.close(4403, "This session has ended.");
  } else {
    socket.close(1013, UNAVAILABLE_MESSAGE);
  }
}

/** A socket ends with its token and with its session, whichever is first. */
export function closeWithSession(
  socket: WebSocket,
  identity: Identity,
  options: { accessTokens: AccessTokens; liveEvents: LiveEvents; pool: Pool },
): void {
  const { accessTokens, liveEvents, pool } = options;
  const { sessionId, settings } = identity;
  if (sessionId === undefined) return;
  const expiry = setTimeout(
    () => socket.close(4403, "The access token has expired."),
    accessTokens.remaining(identity),
  );
  let ends = liveEvents.subscribe(`session_ended:${sessionId}`);
  socket.once("close", () => {
    clearTimeout(expiry);
    void ends.return?.();
  });
  const watch = () => {
    ends.next().then(
      ({ done }) => done || socket.close(4403, "This session has ended."),
      // Live events were interrupted: it may have ended meanwhile.
      () => void resume(),
    );
  };
  const resume = async () => {
    await liveEvents.resumed();
    if (socket.readyState !== socket.OPEN) return;
    try {
      ends = liveEvents.subscribe(`session_ended:${sessionId}`);
      watch();
      await verifySession(pool, settings);
    } catch (error) {
      refuseSocket(socket, error);
    }
  };
  watch();
}
