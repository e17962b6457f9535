/**
 * Traces: what happened in a request or a job, and how long each part took. Only where somebody collects
 * them; otherwise there is no `Tracing`, nothing is loaded, and nothing is done.
 *
 *     GET /api/v1/contacts            the request
 *       ├── SELECT                    its statements
 *       └── COMMIT
 */
import type { IncomingHttpHeaders } from "node:http";

export type TraceAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface TraceSpan {
  /** For log lines; what a collector knows the trace by. */
  readonly traceId: string;
  /** Runs `fn`; what it does belongs to this. */
  run<T>(fn: () => T): T;
  /** @param failure names what went wrong; never text that may quote a value. */
  end(attributes?: TraceAttributes, failure?: string): void;
}

export interface TracedRequest {
  readonly method: string;
  /** The route's pattern; never the address, which may hold a token. */
  readonly route: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  readonly scheme: string;
}

export interface Tracing {
  /** Begins a request's, in the caller's trace if it says so (W3C Trace Context). */
  request(request: TracedRequest): TraceSpan;
  /** Begins a statement's; undefined outside of a request or job. */
  statement(database: string, text: string): TraceSpan | undefined;
  /** Runs a job: one span, in a trace of its own. */
  task<T>(name: string, attributes: TraceAttributes, fn: () => Promise<T>): Promise<T>;
  /** Sends what is left. */
  close(): Promise<void>;
}

/** Runs `fn` as a part of the span, if there is one. */
export const within = <T>(span: TraceSpan | undefined, fn: () => T): T =>
  span ? span.run(fn) : fn();

/** What an error is called: its SQLSTATE, its code, or its class; never its message. */
export const failureName = (error: unknown): string => {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
};

/** A statement's text without the values that somebody wrote into it. */
export const withoutValues = (sql: string): string =>
  sql
    .slice(0, maxText)
    .replaceAll(/\$([a-z_]*)\$[\s\S]*?(?:\$\1\$|$)/gi, "?")
    .replaceAll(/e?'(?:[^']|'')*(?:'|$)/gi, "?")
    .replaceAll(/(?<![\w$."])\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/gi, "?")
    .replaceAll(/\s+/g, " ")
    .trim();

const maxText = 2_000;
