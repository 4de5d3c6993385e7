import { type Request, type Response, Router } from "express";
import { newOpaqueToken } from "../auth/opaque-tokens.ts";
import { type SignInFlow, STATE_LIFETIME } from "../auth/sign-in-flow.ts";

/** `GET /auth/:provider` and `/callback`: the browser's part of signing in with a provider. */
export function signInRoutes(options: { flow: SignInFlow; publicUrl: string }): Router {
  const { flow, publicUrl } = options;
  const cookie = browserCookie(publicUrl);
  const router = Router();

  router.get("/:provider", async (request, response) => {
    const browser = cookie.read(request) ?? newOpaqueToken();
    const location = await flow.start(String(request.params.provider), request.query, browser);
    cookie.write(response, browser);
    redirect(response, location);
  });

  router.get("/:provider/callback", async (request, response) => {
    const { searchParams } = new URL(request.originalUrl, publicUrl);
    const location = await flow.finish(
      String(request.params.provider),
      searchParams,
      cookie.read(request),
      { ip: request.ip, userAgent: request.get("user-agent") },
    );
    redirect(response, location);
  });

  return router;
}

/** 303 with a URL that no cache and no Referer keeps. */
function redirect(response: Response, location: URL): void {
  response
    .set({ "Cache-Control": "no-store", "Referrer-Policy": "no-referrer" })
    .redirect(303, location.href);
}

/**
 * What makes a browser one that began a sign-in: 256 random bits, for ten minutes. The same for
 * sign-ins in several tabs. Lax, because the provider leads back here from its own site.
 */
function browserCookie(publicUrl: string) {
  const secure = publicUrl.startsWith("https:");
  const name = secure ? "__Host-howdah-sign-in" : "howdah-sign-in";
  const pattern = new RegExp(`(?:^|;) *${name}=([\\w-]{43})(?:;|$)`);
  return {
    read: (request: Request) => pattern.exec(request.headers.cookie ?? "")?.[1],
    write: (response: Response, value: string) =>
      response.cookie(name, value, {
        httpOnly: true,
        secure,
        sameSite: "lax",
        path: "/",
        maxAge: STATE_LIFETIME,
      }),
  };
}
