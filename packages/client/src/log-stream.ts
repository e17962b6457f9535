/**
 * The log as it is written. A browser can't send headers with a WebSocket, so each connection begins
 * with a ticket, which opens one stream once. Whatever ends a stream (a server that stops, a network
 * that is gone, a token that has ended) is answered with another ticket; whoever may not have that one
 * may not watch any more, and is told why.
 *
 *   ticket ──► socket ──► lines …  closed ──► pause (longer after each failure) ──► ticket
 *      └── refused (4xx): ApiError
 */
import { ApiError } from "./errors.ts";
import { backoff, pause } from "./retries.ts";

export interface LogLine {
  /** `2026-01-31 12:00:00.000`, in UTC. */
  readonly timestamp: string;
  readonly level: "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";
  /** The part of the server: `insulae::http`. */
  readonly target: string;
  readonly message: string;
}

export interface LogOptions {
  /** From this level on. */
  readonly level?: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  /** For platform administrators: only this tenant's (its id). */
  readonly tenantId?: string;
  /** Ends it. */
  readonly signal?: AbortSignal;
  /** It is connected: the first time, and again after each interruption. */
  readonly onOpen?: () => void;
}

interface StreamOptions extends LogOptions {
  readonly baseUrl: string;
  readonly ticket: () => Promise<string>;
  readonly onLine: (line: LogLine) => void;
}

/** @returns when the signal ends it. @throws ApiError if the server lets the caller watch no more. */
export async function streamLogs(options: StreamOptions): Promise<void> {
  const { baseUrl, ticket, signal } = options;
  const url = new URL(`${baseUrl}/api/ws/logs`);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("format", "json");
  if (options.level) url.searchParams.set("level", options.level);
  if (options.tenantId) url.searchParams.set("tenant_id", options.tenantId);

  for (let failures = 0; !signal?.aborted; failures += 1) {
    try {
      url.searchParams.set("ticket", await ticket());
      if ((await watch(url, options)) > longEnough) failures = 0;
    } catch (error) {
      if (signal?.aborted) return;
      const final = error instanceof ApiError && error.status < 500 && error.status !== 429;
      if (final || !(error instanceof ApiError || error instanceof TypeError)) throw error;
    }
    await pause(backoff(failures), signal).catch(() => {});
  }
}

/** A stream that lasted for that many milliseconds was no failure. */
const longEnough = 10_000;

/** @returns when it is closed: for how long it was open. */
function watch(url: URL, { onLine, onOpen, signal }: StreamOptions): Promise<number> {
  return new Promise((resolve) => {
    let opened = Number.POSITIVE_INFINITY;
    const socket = new WebSocket(url);
    const close = () => socket.close();
    signal?.addEventListener("abort", close);
    socket.onopen = () => {
      opened = performance.now();
      onOpen?.();
    };
    socket.onmessage = ({ data }) => onLine(JSON.parse(String(data)));
    socket.onclose = () => {
      signal?.removeEventListener("abort", close);
      resolve(performance.now() - opened);
    };
    if (signal?.aborted) close();
  });
}
