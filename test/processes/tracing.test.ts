import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
}

/** What a collector has been sent, by OTLP over HTTP as JSON. */
const spans: Span[] = [];
let collector: Server;
let api: TestApi;

beforeAll(async () => {
  collector = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    expect(request.url).toBe("/v1/traces");
    const body = JSON.parse(Buffer.concat(chunks).toString()) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    spans.push(
      ...body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap((one) => one.spans),
    );
    response.setHeader("content-type", "application/json").end("{}");
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as AddressInfo;
  api = await startTestApi({
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
  });
});
afterAll(async () => {
  await api.stop();
  await new Promise((resolve) => collector.close(resolve));
});

const attribute = ({ attributes }: Span, name: string) => {
  const value = attributes.find(({ key }) => key === name)?.value;
  return value?.stringValue ?? value?.intValue;
};
const spanOf = (name: string) =>
  until(
    async () => spans.find((span) => span.name === `graphql ${name}`),
    (span) => span !== undefined,
    20_000,
  ) as Promise<Span>;

it("a request goes on with its caller's trace, through to the statements that it sends", async () => {
  const { userId, token } = await api.signUp("traced@example.com");
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const caller = "00f067aa0ba902b7";
  const { data } = await api.graphql(
    'query Named { searchItems(search: "never-told") { nodes { id } } me { email } }',
    {
      token,
      headers: { traceparent: `00-${trace}-${caller}-01` },
    },
  );
  expect(data.me.email).toBe("traced@example.com");
  const span = await spanOf("Named");
  expect(span).toMatchObject({ traceId: trace, parentSpanId: caller });
  expect(attribute(span, "http.response.status_code")).toBe(200);
  expect(attribute(span, "user.id")).toBe(String(userId));
  const statements = await until(
    async () => spans.filter(({ parentSpanId }) => parentSpanId === span.spanId),
    ({ length }) => length > 0,
  );
  expect(statements.every(({ traceId }) => traceId === trace)).toBe(true);
  const texts = statements.map((one) => String(attribute(one, "db.query.text")));
  expect(texts.join()).toContain("search_items");
  const all = JSON.stringify(spans);
  for (const secret of ["never-told", "traced@example.com", token])
    expect(all).not.toContain(secret);
});

it("SQL knows the request's own span, and one without a caller begins a trace", async () => {
  const socket = openSocket(api.url, {});
  await socket.subscribe("query OverSocket { __typename }").next();
  socket.close();
  const first = await spanOf("OverSocket");
  expect(first.parentSpanId ?? "").toBe("");
  await api.database.owner.query(`
    create or replace function app_public.users_unread_notification_count(u app_public.users) returns int
    language plpgsql stable
    as $$ begin raise exception '%', current_setting('request.traceparent') using errcode = 'HWINP'; end $$`);
  const { token } = await api.signUp("second@example.com");
  const { errors } = await api.graphql("query Told { me { unreadNotificationCount } }", { token });
  const told = await spanOf("Told");
  expect(errors[0]?.message).toContain(`00-${told.traceId}-${told.spanId}-01`);
});
