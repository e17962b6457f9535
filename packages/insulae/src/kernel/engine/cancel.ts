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
 * `query_canceled` (57014), unless it has just ended. The request takes a connection of its own, which
 * counts in none of PostgreSQL's limits and is closed at once. If it fails, the statement goes on.
 */
export function cancelStatement(client: Client): void {
  const { host, port, ssl, processID, secretKey } = client as unknown as Connected;
  const connection = new Connection({ ssl } as object) as Connection & Connecting;
  const cancel = () => connection.cancel(processID, secretKey);
  connection.on("error", () => connection.stream.destroy());
  connection.once("connect", () => (ssl ? connection.requestSsl() : cancel()));
  connection.once("sslconnect", cancel);
  const timer = setTimeout(() => connection.stream.destroy(), timeoutMs).unref();
  connection.once("end", () => clearTimeout(timer));
  if (host.startsWith("/")) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
}
