import { isUtf8 } from "node:buffer";
import { SafeError } from "postgraphile/grafast";
import { NodeGrafserv } from "postgraphile/grafserv/node";
import type { Step } from "./step.ts";

/** Grafserv, whose answers stay JSON until the response plugin has seen them. */
export class HowdahGrafserv extends NodeGrafserv {
  /** Answers GraphQL, and GraphiQL where that is on; goes on with all else. */
  handler(): Step {
    return this._createHandler();
  }

  protected override getDigest(
    ...[options, request, response, isHTTPS]: Parameters<NodeGrafserv["getDigest"]>
  ): ReturnType<NodeGrafserv["getDigest"]> {
    const digest = super.getDigest(options, request, response, isHTTPS);
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
