import { readdir, readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { type RequestHandler, type Response, Router } from "express";
import type { Pool } from "pg";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { Save } from "../development/save.ts";
import { ApiError } from "../errors.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import { requireGoodBearer, requireLiveSession } from "./bearer.ts";
import { sendGraphQLError } from "./errors.ts";

/** Of each kind, the newest. */
const MAX_CAPTURED = 50;

/** What followed of the latest saves of current.sql: `npm run dev` tells. */
export interface SaveLog {
  /** The newest first. */
  all(): readonly Save[];
  /** @returns what ends it */
  onChange(listener: () => void): () => void;
}

/**
 * Under /console/development, with `npm start` and `npm run dev` alone: the emulator's phones, what was
 * captured instead of sent, and what saves changed. For operators, like the rest of the console.
 */
export function consoleDevelopmentRoutes(options: {
  accessTokens: AccessTokens;
  pool: Pool;
  liveEvents: LiveEvents;
  dataDirectory: string;
  phonesUrl: string | undefined;
  saves: SaveLog | undefined;
  /** The server is to stop: what would never end does. */
  stopping: AbortSignal;
}): Router {
  const { accessTokens, pool, liveEvents, dataDirectory, phonesUrl, saves, stopping } = options;
  const streams = new Set<Response>();
  stopping.addEventListener("abort", () => {
    for (const stream of streams) stream.destroy();
  });
  const router = Router();
  router.use(requireGoodBearer(accessTokens), operatorsOnly);
  // Before the session is asked for: what ends in between is not missed.
  router.use(/^(\/saves)?\/events$/, (request, response, next) => {
    streams.add(response);
    const ends = liveEvents.subscribe(`session_ended:${request.identity?.sessionId}`);
    // Also where live events are interrupted: the page asks again, and so is checked again.
    ends
      .next()
      .catch(() => undefined)
      .finally(() => response.destroy());
    const expiry = setTimeout(
      () => response.destroy(),
      request.identity && accessTokens.remaining(request.identity),
    );
    response.on("close", () => {
      streams.delete(response);
      clearTimeout(expiry);
      void ends.return?.();
    });
    next();
  });
  router.use(requireLiveSession(pool));
  router.get("/mails", async (_request, response) => {
    response.json(await captured(join(dataDirectory, "mail"), ".eml"));
  });
  router.get("/sms", async (_request, response) => {
    response.json(await captured(join(dataDirectory, "sms"), ".json"));
  });
  if (saves) {
    router.get("/saves", (_request, response) => {
      response.json(saves.all());
    });
    router.get("/saves/events", (_request, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      response.flushHeaders();
      const end = saves.onChange(() => response.write("data: saved\n\n"));
      response.on("close", end);
    });
  }
  if (phonesUrl !== undefined) {
    router.get(
      "/phones",
      passOn(phonesUrl, () => "/phones"),
    );
    router.get(
      "/events",
      passOn(phonesUrl, () => "/events"),
    );
    router.get(
      "/phones/:token",
      passOn(phonesUrl, (token) => `/phones/${encodeURIComponent(token)}`),
    );
  }
  router.use((_request, _response, next) =>
    next(new ApiError("NOT_FOUND", "There is nothing at this address.")),
  );
  return router;
}

const operatorsOnly: RequestHandler = (request, response, next) => {
  if (request.identity?.settings.role === "howdah_operator") return next();
  sendGraphQLError(response, 403, new ApiError("FORBIDDEN", "This is for operators."));
};

/** Reads from the emulator, whose port the page's Content-Security-Policy keeps it from. */
function passOn(phonesUrl: string, path: (token: string) => string): RequestHandler {
  return (request, response, next) => {
    const { hostname, port } = new URL(phonesUrl);
    const upstream = httpRequest(
      // Not by new URL(), to which a phone called ".." is another path.
      { hostname, port, path: path(String(request.params.token ?? "")) },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, {
          "Content-Type": answer.headers["content-type"] ?? "application/json",
          "Cache-Control": "no-store",
        });
        // The page is to hear that it is connected before there is anything to say.
        response.flushHeaders();
        answer.pipe(response);
        answer.on("error", () => response.destroy());
      },
    );
    upstream.on("error", () =>
      response.headersSent
        ? response.destroy()
        : next(new ApiError("UNAVAILABLE", "The FCM emulator does not answer.")),
    );
    response.on("close", () => upstream.destroy());
    upstream.end();
  };
}

async function captured(
  directory: string,
  extension: string,
): Promise<{ name: string; content: string }[]> {
  const names = await readdir(directory).catch(() => []);
  const newest = names
    .filter((name) => name.endsWith(extension))
    .sort()
    .slice(-MAX_CAPTURED)
    .reverse();
  return Promise.all(
    newest.map(async (name) => ({
      name,
      content: await readFile(join(directory, name), "utf8"),
    })),
  );
}
