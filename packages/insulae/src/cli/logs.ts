import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { loadConfig } from "../config/config.ts";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import { printable } from "../kernel/lib/text.ts";
import type { CommandContext, Result } from "./command.ts";

export interface LogsOptions {
  readonly url?: string;
  readonly token?: string;
  /** Only this tenant's lines. */
  readonly tenant?: string;
  readonly level?: string;
}

const reconnectMs = 1_000;
/** For the log-in, and for opening the WebSocket. */
const answerMs = 10_000;

/**
 * Follows a running server's log until interrupted. Prints each line to stdout, as text or
 * (`--json`) as one JSON object. Reconnects when the connection is lost.
 */
export async function followLogs(context: CommandContext, options: LogsOptions): Promise<Result> {
  // The reader has left: `insulae logs | head -1`.
  process.stdout.once("error", () => process.exit(exitCodes.ok));
  const { env, note } = context;
  const config = loadConfig(env);
  const server = (options.url ?? `http://localhost:${config.port}`).replace(/\/+$/, "");
  const query = new URLSearchParams({ format: context.json ? "json" : "text" });
  if (options.level) query.set("level", options.level);
  if (options.tenant) query.set("tenant_id", options.tenant);
  const url = `${server.replace(/^http/, "ws")}/api/ws/logs?${query}`;

  const given = options.token ?? env.INSULAE_TOKEN;
  for (let connected = false; ; ) {
    const token = given ?? (await logIn(server, config.adminEmail, config.adminPassword));
    const outcome = await follow(url, token, () => {
      if (connected) note("Connected again.");
      connected = true;
    });
    if (outcome.refused !== undefined) {
      const message = `The server refused the request (${outcome.refused}). Watching the log needs the permission logs:read; see docs/logs.md.`;
      throw new CommandError("logs_refused", message, exitCodes.refused);
    }
    if (!connected) throw unreachable(server, outcome.reason);
    note(`The connection was lost (${outcome.reason}); trying again …`);
    await sleep(reconnectMs);
  }
}

const unreachable = (server: string, reason: string): CommandError =>
  new CommandError(
    "server_unreachable",
    `No server responds at ${server} (${reason}). Use --url for another address.`,
    exitCodes.tryAgain,
  );

interface Outcome {
  /** The status of a refused handshake. */
  readonly refused?: number;
  readonly reason: string;
}

function follow(url: string, token: string, onOpen: () => void): Promise<Outcome> {
  return new Promise((resolve) => {
    const client = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    let reason = "";
    const late = setTimeout(() => client.terminate(), answerMs);
    client.on("open", () => {
      clearTimeout(late);
      onOpen();
    });
    client.on("message", (line) => void process.stdout.write(`${printable(String(line))}\n`));
    client.on("unexpected-response", (_request, { statusCode = 0 }) => {
      // Retry if it was only busy or starting.
      const later = statusCode === 429 || statusCode >= 500;
      resolve({ reason: `status ${statusCode}`, ...(!later && { refused: statusCode }) });
      client.terminate();
    });
    client.on("error", (error) => {
      reason = error.message || "no connection";
    });
    client.on("close", (code, text) => {
      clearTimeout(late);
      resolve({ reason: printable(String(text)) || reason || `code ${code}` });
    });
  });
}

/** Logs in as the platform administrator from the configuration. */
async function logIn(
  server: string,
  email: string | undefined,
  password: string | undefined,
): Promise<string> {
  if (email === undefined || password === undefined) {
    const message =
      "No credentials. Give an access token (--token or INSULAE_TOKEN), or set ADMIN_EMAIL and ADMIN_PASSWORD.";
    throw new CommandError("token_needed", message, exitCodes.inputNeeded);
  }
  const reply = await fetch(`${server}/api/v1/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
    signal: AbortSignal.timeout(answerMs),
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw unreachable(server, String(cause));
  });
  const body: unknown = await reply.json().catch(() => undefined);
  const token: unknown = typeof body === "object" && body && Reflect.get(body, "access_token");
  if (typeof token !== "string") {
    const message = `The server refused the log-in of ADMIN_EMAIL (status ${reply.status}).`;
    throw new CommandError("log_in_refused", message, exitCodes.refused);
  }
  return token;
}
