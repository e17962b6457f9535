/** Misbehaving peers over TCP and UDP. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

/** What a peer does to a connection; in protocols where the client speaks first, after that. */
export type Misdeed = (socket: Socket) => void;

/** Writes endlessly, as fast as the other side reads. */
const flood = (socket: Socket, chunk: string | Buffer) => {
  const write = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on("drain", write);
  write();
};

/** Writes endlessly and very slowly, but is never silent for long. */
const trickle = (socket: Socket, text: string) => {
  const timer = setInterval(() => socket.writable && socket.write(text), 20);
  socket.on("close", () => clearInterval(timer));
};

const noise = Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7919) % 256));
const head = (...lines: readonly string[]) => `HTTP/1.1 ${lines.join("\r\n")}\r\n\r\n`;
const bomb = gzipSync(Buffer.alloc(20_000_000));

/** Independent of the protocol. */
export const tcpMisdeeds: Readonly<Record<string, Misdeed>> = {
  "stays silent": () => {},
  "closes at once": (socket) => socket.end(),
  "resets the connection": (socket) => socket.resetAndDestroy(),
  "sends noise": (socket) => socket.end(noise),
  "sends noise for ever": (socket) => flood(socket, noise),
  "sends one letter for ever": (socket) => flood(socket, "a".repeat(65_536)),
  "sends a letter now and then": (socket) => trickle(socket, "a"),
};

/** Before a final status. */
export const httpMisdeeds: Readonly<Record<string, Misdeed>> = {
  ...tcpMisdeeds,
  "answers 100 for ever": (socket) => flood(socket, head("100 Continue")),
  "answers 102 for ever": (socket) => flood(socket, head("102 Processing")),
  "answers 103 now and then": (socket) => trickle(socket, head("103 Early Hints", "link: </a>")),
  "answers 101": (socket) =>
    socket.write(head("101 Switching Protocols", "connection: upgrade", "upgrade: x")),
  "answers 101 and closes": (socket) =>
    socket.end(head("101 Switching Protocols", "connection: upgrade", "upgrade: x")),
  "answers 999": (socket) => socket.end(head("999 What", "content-length: 0")),
  "sends its head a byte at a time": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nx-a: ");
    trickle(socket, "a");
  },
  "sends headers for ever": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    flood(socket, "x-a: b\r\n".repeat(1_000));
  },
  "closes in the head": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
};

/** With status 200, and an invalid body. */
export const bodyMisdeeds: Readonly<Record<string, Misdeed>> = {
  "sends no body": (socket) => socket.write(head("200 OK", "content-length: 100")),
  "closes after the head": (socket) => socket.end(head("200 OK", "content-length: 100")),
  "cuts the body": (socket) => socket.end(`${head("200 OK", "content-length: 100")}{"a":`),
  "cuts a chunk": (socket) =>
    socket.end(`${head("200 OK", "transfer-encoding: chunked")}ff\r\n{"a":`),
  "breaks the chunks": (socket) =>
    socket.end(`${head("200 OK", "transfer-encoding: chunked")}zz\r\n{"a":`),
  "resets within the body": (socket) => {
    socket.write(`${head("200 OK", "content-length: 100")}{"a":`, () => {
      setTimeout(() => socket.resetAndDestroy(), 20);
    });
  },
  "sends a body for ever": (socket) => {
    socket.write(head("200 OK"));
    flood(socket, "a".repeat(65_536));
  },
  "sends a body for ever, a byte at a time": (socket) => {
    socket.write(head("200 OK"));
    trickle(socket, "a");
  },
  "sends chunks for ever": (socket) => {
    socket.write(head("200 OK", "transfer-encoding: chunked"));
    flood(socket, "1\r\na\r\n".repeat(1_000));
  },
  "sends more than it says": (socket) =>
    socket.end(`${head("200 OK", "content-length: 2")}{}${"a".repeat(1_000)}`),
  "sends a gzip bomb": (socket) => {
    socket.write(head("200 OK", "content-encoding: gzip", `content-length: ${bomb.length}`));
    socket.end(bomb);
  },
};

/** Speaks SMTP up to a command, and misbehaves there. */
export const smtpUntil =
  (stage: RegExp | undefined, misdeed: Misdeed): Misdeed =>
  (socket) => {
    if (!stage) return misdeed(socket);
    let data = false;
    socket.write("220 ready\r\n");
    socket.on("data", (chunk) => {
      const line = chunk.toString();
      if (stage.test(line)) {
        socket.removeAllListeners("data").resume();
        misdeed(socket);
      } else if (/^DATA/i.test(line)) {
        data = true;
        socket.write("354 go on\r\n");
      } else if (!data) socket.write("250 fine\r\n");
    });
  };
/**
 * Misbehaves towards whoever connects, at once or (`after: "request"`) after receiving something.
 */
export async function openHostilePeer(misdeed: Misdeed, after: "connect" | "request" = "request") {
  const sockets = new Set<Socket>();
  let met = 0;
  const server = createServer((socket) => {
    met += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    if (after === "connect") {
      socket.resume();
      misdeed(socket);
      return;
    }
    socket.once("data", () => {
      misdeed(socket);
      socket.resume();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // an IP address, because it listens on TCP
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    /** The number of connections accepted. */
    met: () => met,
    /** The number of connections still open. */
    held: () => sockets.size,
  };
}

/** A name server that answers every query with `answer`. */
export async function openHostileNameServer(answer: (question: Buffer) => Buffer | undefined) {
  const socket = createSocket("udp4");
  socket.on("message", (question: Buffer, from: RemoteInfo) => {
    const reply = answer(question);
    if (reply) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

/** The query with other flags (RFC 1035): an answer to it. */
const answered = (question: Buffer, flags: number): Buffer => {
  const reply = Buffer.from(question);
  reply.writeUInt16BE(flags, 2);
  return reply;
};

export const dnsMisdeeds: Readonly<Record<string, (question: Buffer) => Buffer | undefined>> = {
  "stays silent": () => undefined,
  "sends noise": () => noise.subarray(0, 200),
  "answers another question": (question) => {
    const reply = answered(question, 0x8180);
    reply.writeUInt16BE((question.readUInt16BE(0) + 1) % 65_536, 0);
    return reply;
  },
  // Nobody listens on TCP.
  "says that its answer was cut": (question) => answered(question, 0x8380),
  fails: (question) => answered(question, 0x8182),
  refuses: (question) => answered(question, 0x8185),
};
