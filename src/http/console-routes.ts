import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { type RequestHandler, Router } from "express";
import type { SaveLog } from "./console-development.ts";

/** Where `npm run console` writes to. */
const BUILD = join(import.meta.dirname, "../../dist/console");

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** Own files only; what a user has written is never run, whatever it looks like. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What `npm start` and `npm run dev` alone give the console. */
export interface ConsoleDevelopment {
  demo: { identifier: string; password: string };
  /** The FCM emulator's, where there is one. */
  phonesUrl: string | undefined;
  graphiql: boolean;
  /** With `npm run dev`. */
  saves?: SaveLog | undefined;
}

interface File {
  type: string;
  content: Buffer;
  br: Buffer | undefined;
  gzip: Buffer | undefined;
}

/**
 * The console under /console: static files, from memory, already compressed. Every path that is no
 * file is a page of it. `development` goes into the page as a <meta>, which the console reads.
 */
export function consoleRoutes(development?: ConsoleDevelopment): Router {
  const router = Router();
  const files = readBuild();
  router.use((_request, response, next) => {
    response.set("Content-Security-Policy", POLICY);
    response.set("Permissions-Policy", "camera=(), geolocation=(), microphone=()");
    next();
  });
  const page = files.get("index.html");
  if (!page) {
    router.use((_request, response) => {
      response
        .status(503)
        .type("text")
        .send("The console has not been built yet: run `npm run console`, then start again.\n");
    });
    return router;
  }
  if (development) {
    const { demo, phonesUrl, graphiql, saves } = development;
    const phones = phonesUrl !== undefined;
    const told = JSON.stringify({ demo, phones, graphiql, saves: saves !== undefined });
    const meta = `<meta name="howdah-development" content="${escapeAttribute(told)}">`;
    page.content = Buffer.from(page.content.toString().replace("</head>", `${meta}</head>`));
    page.br = undefined;
    page.gzip = undefined;
  }
  router.use(serve(files, page));
  return router;
}

function serve(files: Map<string, File>, page: File): RequestHandler {
  return (request, response, next) => {
    if (request.method !== "GET" && request.method !== "HEAD") return next();
    const name = request.path.slice(1);
    const isAsset = name.startsWith("assets/");
    const file = files.get(name) ?? (isAsset ? undefined : page);
    if (!file) return next();
    const encoding = request.acceptsEncodings("br", "gzip", "identity") || "identity";
    const body =
      (encoding === "br" && file.br) || (encoding === "gzip" && file.gzip) || file.content;
    if (body === file.br) response.set("Content-Encoding", "br");
    else if (body === file.gzip) response.set("Content-Encoding", "gzip");
    response.set("Vary", "Accept-Encoding");
    // Their names change with their content.
    response.set("Cache-Control", isAsset ? "public, max-age=31536000, immutable" : "no-cache");
    response.type(file.type).send(body);
  };
}

function readBuild(): Map<string, File> {
  const files = new Map<string, File>();
  if (!existsSync(BUILD)) return files;
  const names = readdirSync(BUILD, { recursive: true }).map((name) =>
    String(name).replaceAll("\\", "/"),
  );
  const read = (name: string) =>
    names.includes(name) ? readFileSync(join(BUILD, name)) : undefined;
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    files.set(name, {
      type,
      content: readFileSync(join(BUILD, name)),
      br: read(`${name}.br`),
      gzip: read(`${name}.gz`),
    });
  }
  return files;
}

function escapeAttribute(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
