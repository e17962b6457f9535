/**
 * A lane: one connection to PostgreSQL that carries the statements of many requests without waiting
 * for responses in between. A request is one batch of the extended-query protocol, and a
 * transaction of its own: the setting, the statement, Sync. Batches of one turn of the event loop
 * are sent in one write.
 *
 * `pg` logs in; then the lane takes over the socket.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import pg from "pg";

/** The name of a prepared statement, and its values. */
export type Command = readonly [name: string, values: readonly (string | null)[]];

/** Each column as text from PostgreSQL. */
export type Row = readonly (string | null)[];

export interface Lane {
  readonly inFlight: number;
  /** @returns the first row of the last command. @throws Error with PostgreSQL's message */
  run(commands: readonly Command[]): Promise<Row | undefined>;
}

interface Batch {
  /** Rows of the commands before the last one, one each. */
  rowsAhead: number;
  row?: Row;
  error?: Error;
  readonly resolve: (row: Row | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** @param statements by name; prepared once */
export async function openLane(
  config: pg.ClientConfig,
  statements: Readonly<Record<string, string>>,
): Promise<Lane> {
  const client = new pg.Client(config);
  await client.connect();
  for (const [name, text] of Object.entries(statements)) {
    await client.query(`prepare ${name} as ${text}`);
  }
  const { stream } = client.connection;
  stream.removeAllListeners("data");
  const underway: Batch[] = [];
  const unsent: Buffer[] = [];
  let rest: Buffer | undefined;

  const flush = () => stream.write(Buffer.concat(unsent.splice(0)));
  const receive = (type: number, body: Buffer) => {
    const [batch] = underway;
    if (batch === undefined) return;
    if (type === dataRow) {
      if (batch.rowsAhead > 0) batch.rowsAhead -= 1;
      else batch.row ??= rowOf(body);
    } else if (type === errorResponse) {
      batch.error = new Error(body.toString().replaceAll("\0", " "));
    } else if (type === readyForQuery) {
      underway.shift();
      if (batch.error) batch.reject(batch.error);
      else batch.resolve(batch.row);
    }
  };
  stream.on("data", (chunk: Buffer) => {
    const bytes = rest ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    while (at + 5 <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      receive(bytes[at] ?? 0, bytes.subarray(at + 5, end));
      at = end;
    }
    rest = at < bytes.length ? bytes.subarray(at) : undefined;
  });
  stream.on("close", () => process.exit(1));

  return {
    get inFlight() {
      return underway.length;
    },
    run: (commands) =>
      new Promise((resolve, reject) => {
        const bytes = encode(commands);
        underway.push({ rowsAhead: commands.length - 1, resolve, reject });
        if (unsent.push(bytes) === 1) setImmediate(flush);
      }),
  };
}

const dataRow = 0x44; // D
const errorResponse = 0x45; // E
const readyForQuery = 0x5a; // Z

function rowOf(body: Buffer): Row {
  const row: (string | null)[] = [];
  let at = 2;
  while (at < body.length) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return row;
}

/** Execute the unnamed portal, without a row limit. */
const execute = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const sync = Buffer.from([0x53, 0, 0, 0, 4]);

function encode(commands: readonly Command[]): Buffer {
  const binds = commands.map(([name, values]) => bindSize(name, values));
  const size = binds.reduce((sum, bind) => sum + bind + execute.length, sync.length);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [i, [name, values]] of commands.entries()) {
    bytes[at] = 0x42; // B
    bytes.writeInt32BE((binds[i] ?? 0) - 1, at + 1);
    bytes[at + 5] = 0; // the unnamed portal
    at += 6;
    at += bytes.write(name, at);
    bytes[at] = 0;
    bytes.writeInt16BE(0, at + 1); // all values as text
    bytes.writeInt16BE(values.length, at + 3);
    at += 5;
    for (const value of values) {
      const length = value === null ? -1 : bytes.write(value, at + 4);
      bytes.writeInt32BE(length, at);
      at += 4 + Math.max(length, 0);
    }
    bytes.writeInt16BE(0, at); // all results as text
    at += 2;
    at += execute.copy(bytes, at);
  }
  sync.copy(bytes, at);
  return bytes;
}

const bindSize = (name: string, values: readonly (string | null)[]): number =>
  values.reduce(
    (sum, value) => sum + 4 + (value === null ? 0 : Buffer.byteLength(value)),
    1 + 4 + 1 + name.length + 1 + 2 + 2 + 2,
  );
