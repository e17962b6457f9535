/**
 * Tracing by OpenTelemetry's SDK, sent in batches to a collector (OTLP over HTTP, JSON). Names and
 * attributes are those of its semantic conventions. Nothing of it is global: an app has its own
 * provider, and its own memory of which span is the current one.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { TracingConfig } from "../../config/config.ts";
import { exchange } from "../net/exchange.ts";
import type { Logger } from "./log.ts";
import {
  failureName,
  type TraceAttributes,
  type TraceSpan,
  type Tracing,
  withoutValues,
} from "./tracing.ts";

const exportEveryMs = 1_000;
/** For a batch. What has not arrived by then is lost. */
const exportTimeoutMs = 2_000;
/** Of the three seconds in which the process stops. */
const closeMs = 1_000;

export function createTracing(config: TracingConfig, version: string, log: Logger): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": config.service,
      "service.version": version,
      "service.instance.id": crypto.randomUUID(),
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.ratio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: telling(otlpExporter(config), log),
        scheduledDelayMillis: exportEveryMs,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const tracer = provider.getTracer("insulae", version);
  const current = new AsyncLocalStorage<Context>();

  const begin = (
    name: string,
    kind: SpanKind,
    attributes: TraceAttributes,
    parent: Context,
  ): TraceSpan => {
    const span: Span = tracer.startSpan(name, { kind, attributes: given(attributes) }, parent);
    const context = trace.setSpan(parent, span);
    return {
      traceId: span.spanContext().traceId,
      run: (fn) => current.run(context, fn),
      end(more = {}, failure = undefined) {
        span.setAttributes(given(more));
        if (failure !== undefined) {
          span.setAttribute("error.type", failure);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        span.end();
      },
    };
  };

  return {
    request: ({ method, route, headers, requestId, scheme }) =>
      begin(
        route === undefined ? method : `${method} ${route}`,
        SpanKind.SERVER,
        {
          "http.request.method": method,
          "http.route": route,
          "url.scheme": scheme,
          "url.path": route,
          "server.address": headers.host,
          "user_agent.original": headers["user-agent"],
          "insulae.request.id": requestId,
        },
        parentOf(headers.traceparent, headers.tracestate),
      ),
    statement(database, text) {
      const parent = current.getStore();
      if (!parent) return undefined;
      const query = withoutValues(text);
      const operation = /^\W*(\w+)/.exec(query)?.[1]?.toUpperCase() ?? "SQL";
      const attributes = {
        "db.system.name": "postgresql",
        "db.namespace": database,
        "db.operation.name": operation,
        "db.query.text": query,
      };
      return begin(operation, SpanKind.CLIENT, attributes, parent);
    },
    async task(name, attributes, fn) {
      const span = begin(name, SpanKind.CONSUMER, attributes, ROOT_CONTEXT);
      try {
        const result = await span.run(fn);
        span.end();
        return result;
      } catch (error) {
        span.end({}, failureName(error));
        throw error;
      }
    },
    async close() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, closeMs);
      await Promise.race([provider.shutdown().catch(() => undefined), late.promise]);
      clearTimeout(timer);
    },
  };
}

/**
 * OTLP over HTTP, in JSON. The SDK's own exporter waits for ever for a collector that switches
 * protocols or sends a byte now and then, and after thirty such requests sends no more.
 */
export function otlpExporter(
  { endpoint, headers }: Pick<TracingConfig, "endpoint" | "headers">,
  timeoutMs = exportTimeoutMs,
): SpanExporter {
  const url = new URL(`${endpoint}/v1/traces`);
  const send = async (body: Uint8Array | undefined): Promise<void> => {
    const { status, ok } = await exchange(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body,
      timeoutMs,
      maxBytes: 1_024,
      statusDecides: true,
    });
    if (!ok) throw new Error(`the collector answered ${status}`);
  };
  return {
    export(spans, done) {
      send(JsonTraceSerializer.serializeRequest(spans)).then(
        () => done({ code: 0 }),
        (error) => done({ code: 1, error }),
      );
    },
    shutdown: async () => {},
  };
}

/** Says once that the collector is away, and once that it is back; spans are lost meanwhile. */
function telling(exporter: SpanExporter, log: Logger): SpanExporter {
  let away = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== 0;
        if (failed && !away) log.warn({ err: result.error }, "Traces can't be sent");
        if (!failed && away) log.warn("Traces are sent again");
        away = failed;
        done(result);
      });
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}

/** https://www.w3.org/TR/trace-context-2/#traceparent-header; of later versions, what is known. */
function parentOf(traceparent: unknown, tracestate: unknown): Context {
  const [, version, traceId = "", spanId = "", flags = "", rest] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
      typeof traceparent === "string" ? traceparent : "",
    ) ?? [];
  const parent = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(typeof tracestate === "string" && { traceState: createTraceState(tracestate) }),
  };
  const unknown = version === "ff" || (version === "00" && rest !== undefined);
  return unknown || !isSpanContextValid(parent)
    ? ROOT_CONTEXT
    : trace.setSpanContext(ROOT_CONTEXT, parent);
}

const given = (attributes: TraceAttributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
