import { type Client, Connection } from "pg";

/** What the types of pg leave out. */
interface Connected {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean | object;
  readonly processID: number;
  readonly secretKey: number;
}
interface Connecting {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
}

const timeoutMs = 2_000;

/**
 * Asks the server to cancel what it is working on for a client: that statement then fails with
 * `query_canceled` (57014), unless it has just ended; then the next one may be hit. The request takes a
 * connection of its own, which counts in none of PostgreSQL's limits.
 *
 * @returns whether the server has dealt with the request: then no later statement can be hit. False:
 *   nobody knows, and the client's connection should not be used by anybody else.
 */
export function cancelStatement(client: Client): Promise<boolean> {
  const { host, port, ssl, processID, secretKey } = client as unknown as Connected;
  const connection = new Connection({ ssl } as object) as Connection & Connecting;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let sent = false;
  const cancel = () => {
    sent = true;
    connection.cancel(processID, secretKey);
  };
  const fail = () => {
    resolve(!sent);
    connection.stream.destroy();
  };
  connection.on("error", fail);
  connection.once("connect", () => (ssl ? connection.requestSsl() : cancel()));
  connection.once("sslconnect", cancel);
  const timer = setTimeout(fail, timeoutMs).unref();
  // The server closes it once the signal is sent.
  connection.once("end", () => {
    clearTimeout(timer);
    resolve(true);
  });
  if (host.startsWith("/")) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
  return promise;
}
