import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { parseTraceParent } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Config } from "./config.ts";
import type { RequestScope, RequestTrace } from "./request-scope.ts";

/** Traces of requests through to SQL, sent by OTLP over HTTP; off unless there is a collector. */
export interface Tracing {
  /** @param traceparent of the caller (W3C Trace Context), whose trace it goes on with */
  begin(traceparent?: string): RequestTrace;
  /** Sends what has not been sent. */
  close(): Promise<void>;
}

export function createTracing({ endpoint, ratio }: NonNullable<Config["tracing"]>): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "howdah-api" }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` }),
      }),
    ],
  });
  const tracer = provider.getTracer("howdah");

  return {
    begin(traceparent) {
      const caller = traceparent === undefined ? null : parseTraceParent(traceparent);
      const context = caller
        ? trace.setSpanContext(ROOT_CONTEXT, { ...caller, isRemote: true })
        : ROOT_CONTEXT;
      const span = tracer.startSpan("request", { kind: SpanKind.SERVER }, context);
      const within = trace.setSpan(ROOT_CONTEXT, span);
      return {
        traceparent: traceparentOf(span),
        async statement(text, run) {
          const own = tracer.startSpan("postgresql", { kind: SpanKind.CLIENT }, within);
          own.setAttributes({ "db.system.name": "postgresql", "db.query.text": text });
          try {
            return await run();
          } catch (error) {
            const { code } = error as { code?: string };
            // Its message may quote what somebody wrote.
            own.setStatus({ code: SpanStatusCode.ERROR });
            if (code !== undefined) own.setAttribute("db.response.status_code", code);
            throw error;
          } finally {
            own.end();
          }
        },
        end: (scope, status) => endRequest(span, scope, status),
      };
    },
    close: () => provider.shutdown(),
  };
}

function endRequest(span: Span, scope: RequestScope, status: number | undefined): void {
  const { id, operation, userId, codes } = scope;
  if (operation) span.setAttribute("graphql.operation.name", operation);
  if (operation !== undefined) span.updateName(`graphql ${operation || "unnamed"}`);
  if (status !== undefined) span.setAttribute("http.response.status_code", status);
  if (userId !== undefined) span.setAttribute("user.id", String(userId));
  span.setAttribute("howdah.request_id", id);
  if (codes.length > 0) span.setAttribute("howdah.error_codes", codes.slice(0, 10));
  if (codes.some((code) => code === "INTERNAL" || code === "UNAVAILABLE")) {
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}
