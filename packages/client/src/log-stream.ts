/**
 * Streams the log. Browsers can't send headers with a WebSocket, so each connection uses a ticket,
 * which opens one stream once. Whatever interrupts the stream (server restart, network failure,
 * expired token), the client requests another ticket and reconnects. If the ticket is refused, the
 * caller may not watch any more and gets the error.
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
  /** The part of the server that wrote it: `insulae::http`. */
  readonly target: string;
  readonly message: string;
}

export interface LogOptions {
  /** The minimum level. */
  readonly level?: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  /** For platform administrators: only this tenant's lines (its id). */
  readonly tenantId?: string;
  /** Ends the stream. */
  readonly signal?: AbortSignal;
  /** Called when connected, also after each interruption. */
  readonly onOpen?: () => void;
}

interface StreamOptions extends LogOptions {
  readonly baseUrl: string;
  readonly ticket: () => Promise<string>;
  readonly onLine: (line: LogLine) => void;
}

/** @returns when the signal aborts. @throws ApiError if the caller may not watch any more */
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

/** A stream that lasted this many milliseconds does not count as a failure. */
const longEnough = 10_000;

/** @returns the duration of the connection, once it is closed */
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
