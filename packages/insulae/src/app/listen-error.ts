/** Explains why a port can't be used: its setting, the process that has it, and the remedy. */
import type { Config } from "../config/config.ts";
import { describeTaken, isPortTaken } from "./port.ts";

export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: "port_taken" | "cannot_listen";

  constructor(code: ListenError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type ListenAddress = Pick<Config, "host" | "port" | "tlsPort" | "wsPort">;

/** The part given in code rather than by settings. */
export interface ListenOptions {
  readonly port?: number;
  readonly host?: string;
  /** A second port, for TLS. */
  readonly tlsPort?: number;
}

/** @throws ListenError if another process uses the main port */
export async function refuseTakenPort(
  { host, port }: Pick<Config, "host" | "port">,
  options: ListenOptions = {},
): Promise<void> {
  if (await isPortTaken(host, port)) throw portTaken("PORT", port, options);
}

/** Names the setting of the port: a server can listen on three. */
export function cannotListen(
  error: unknown,
  { host, port, tlsPort, wsPort }: ListenAddress,
  options: ListenOptions = {},
): unknown {
  if (!(error instanceof Error && "syscall" in error)) return error;
  const at = "port" in error ? Number(error.port) : port;
  const setting = at === tlsPort ? "TLS_PORT" : at === wsPort ? "APP_WS_PORT" : "PORT";
  if ("code" in error && error.code === "EADDRINUSE") return portTaken(setting, at, options);
  return new ListenError(
    "cannot_listen",
    `The server can't listen at ${host}:${at} (${error.message}). Set HOST to an address of this machine, and ${setting} to a port that you may use.`,
    { cause: error },
  );
}

function portTaken(setting: string, port: number, { port: given, tlsPort }: ListenOptions) {
  const next = port + 1;
  const remedy =
    port === given
      ? `listen({ port: ${next} })`
      : port === tlsPort
        ? `listen({ tlsPort: ${next} })`
        : `${setting}=${next} npm start`;
  return new ListenError(
    "port_taken",
    `${describeTaken(port)}\nStop it, or choose another port: ${remedy}`,
  );
}
