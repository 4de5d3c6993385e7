import { ExpressGrafserv } from "postgraphile/grafserv/express/v4";

/** Grafserv for Express, whose answers stay JSON until the response plugin has seen them. */
export class HowdahGrafserv extends ExpressGrafserv {
  protected override getDigest(
    ...[options, request, response]: Parameters<ExpressGrafserv["getDigest"]>
  ): ReturnType<ExpressGrafserv["getDigest"]> {
    return { ...super.getDigest(options, request, response), preferJSON: true };
  }
}
