import { isUtf8 } from "node:buffer";
import { SafeError } from "postgraphile/grafast";
import { ExpressGrafserv } from "postgraphile/grafserv/express/v4";

/** Grafserv for Express, whose answers stay JSON until the response plugin has seen them. */
export class HowdahGrafserv extends ExpressGrafserv {
  protected override getDigest(
    ...[options, request, response]: Parameters<ExpressGrafserv["getDigest"]>
  ): ReturnType<ExpressGrafserv["getDigest"]> {
    const digest = super.getDigest(options, request, response);
    return {
      ...digest,
      preferJSON: true,
      async getBody() {
        const body = await digest.getBody();
        // Read all the same, it would be stored with replacement characters in it.
        if (body.type === "buffer" && !isUtf8(body.buffer)) {
          throw new SafeError("The body is not UTF-8.", { statusCode: 400 });
        }
        return body;
      },
    };
  }
}
