/**
 * A proxy between client and server that counts requests, and drops or delays those that a test
 * chooses.
 */
import { createServer, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** What happens to a request instead of a response. */
export type Fault =
  | { readonly kind: "answer lost" }
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly code: string;
      readonly after?: number;
    }
  | { readonly kind: "held"; readonly until: Promise<unknown> };

export type FaultyProxy = Awaited<ReturnType<typeof startProxy>>;

export async function startProxy() {
  let target = new URL("http://localhost");
  const seen: Seen[] = [];
  const faults: { readonly matches: string; readonly fault: Fault }[] = [];
  const sockets = new Set<{ destroy(): void }>();
  let cookie: string | undefined;

  const takeFault = (asked: string): Fault | undefined => {
    const index = faults.findIndex(({ matches }) => asked.startsWith(matches));
    return index < 0 ? undefined : faults.splice(index, 1)[0]?.fault;
  };

  const server = createServer(async (asked, answer) => {
    const { method = "", url = "", headers } = asked;
    seen.push({ method, path: url, headers });
    const fault = takeFault(`${method} ${url}`);
    if (fault?.kind === "answer") {
      const { status, code, after } = fault;
      answer.writeHead(status, {
        "content-type": "application/problem+json",
        ...(after !== undefined && { "retry-after": String(after) }),
      });
      answer.end(JSON.stringify({ type: "x", title: code, status, code, request_id: "x" }));
      return;
    }
    if (fault?.kind === "held") await fault.until;
    const passed = request(
      {
        hostname: target.hostname,
        port: target.port,
        method,
        path: url,
        headers: { ...headers, ...(cookie && { cookie }) },
      },
      (got) => {
        const [set] = got.headers["set-cookie"] ?? [];
        if (set !== undefined) cookie = set.split(";", 1)[0];
        if (fault?.kind === "answer lost") {
          got.resume().once("end", () => asked.socket.destroy());
          return;
        }
        answer.writeHead(got.statusCode ?? 502, got.headers);
        got.pipe(answer);
      },
    );
    passed.once("error", () => asked.socket.destroy());
    asked.pipe(passed);
  });

  server.on("upgrade", (asked, socket, head) => {
    seen.push({ method: "UPGRADE", path: asked.url ?? "", headers: asked.headers });
    const to = connect(Number(target.port), target.hostname);
    sockets.add(socket);
    const lines = [`GET ${asked.url} HTTP/1.1`];
    for (let i = 0; i < asked.rawHeaders.length; i += 2) {
      lines.push(`${asked.rawHeaders[i]}: ${asked.rawHeaders[i + 1]}`);
    }
    to.write(`${lines.join("\r\n")}\r\n\r\n`);
    to.write(head);
    to.pipe(socket).pipe(to);
    for (const end of [socket, to]) {
      end.on("error", () => {});
      end.once("close", () => {
        sockets.delete(socket);
        socket.destroy();
        to.destroy();
      });
    }
  });

  await new Promise<void>((resolve) => server.listen(0, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy does not listen");

  return {
    url: `http://localhost:${address.port}`,
    /** @param origin the server's */
    to: (origin: string): void => {
      target = new URL(origin);
    },
    seen,
    /** The number of requests that begin like this: `POST /api/v1/contacts`. */
    count: (asked: string): number =>
      seen.filter(({ method, path }) => `${method} ${path}`.startsWith(asked)).length,
    /** Applies the fault to the next request that begins like this. */
    fail: (matches: string, fault: Fault): void => void faults.push({ matches, fault }),
    forget: (): void => {
      seen.length = 0;
      faults.length = 0;
      cookie = undefined;
    },
    cutStreams: (): void => {
      for (const socket of sockets) socket.destroy();
    },
    close: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
