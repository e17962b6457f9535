/**
 * A TCP proxy in front of PostgreSQL that simulates failures of networks and poolers on listening
 * connections (`LISTEN`), and forwards all others.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { parseIntoClientConfig } from "pg-connection-string";

export interface DatabaseProxy {
  readonly url: string;
  /** Stops forwarding in both directions on listening connections. */
  hang(): void;
  /** Drops notifications from PostgreSQL. */
  swallow(): void;
  /** New connections work again; hanging ones keep hanging. */
  mend(): void;
  close(): Promise<void>;
}

type Fault = "hangs" | "swallows" | undefined;

export async function openDatabaseProxy(url: string): Promise<DatabaseProxy> {
  const { host = "", port, user, password, database } = parseIntoClientConfig(url);
  const sockets = new Set<Socket>();
  let fault: Fault;

  const server = createServer((client) => {
    const upstream = host.startsWith("/")
      ? connect(`${host}/.s.PGSQL.${port}`)
      : connect(Number(port), host);
    let listens = false;
    let hung = false;
    const isHung = () => {
      hung ||= listens && fault === "hangs";
      return hung;
    };
    const kept = withoutNotifications();
    client.on("data", (bytes) => {
      listens ||= bytes.includes("listen insulae");
      if (!isHung()) upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      const rest = kept(bytes, () => fault === "swallows");
      if (!isHung()) client.write(rest);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        if (!hung || one === client) other.destroy();
      });
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port: own } = server.address() as AddressInfo;
  const login = `${encodeURIComponent(user ?? "")}:${encodeURIComponent(String(password ?? ""))}`;
  return {
    url: `postgresql://${login}@127.0.0.1:${own}/${database}`,
    hang: () => {
      fault = "hangs";
    },
    swallow: () => {
      fault = "swallows";
    },
    mend: () => {
      fault = undefined;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Splits PostgreSQL's messages and removes notifications (`A`). */
function withoutNotifications() {
  let rest = Buffer.alloc(0);
  return (bytes: Buffer, swallows: () => boolean): Buffer => {
    rest = Buffer.concat([rest, bytes]);
    const kept: Buffer[] = [];
    while (rest.length >= 5) {
      const length = 1 + rest.readUInt32BE(1);
      if (rest.length < length) break;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (!(swallows() && message[0] === 0x41)) kept.push(message);
    }
    return Buffer.concat(kept);
  };
}
