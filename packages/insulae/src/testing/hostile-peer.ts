/** Peers that misbehave in every way that a test could think of, over TCP and UDP. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

/** What a peer does with a connection; for a protocol in which the client begins, once it has begun. */
export type Misdeed = (socket: Socket) => void;

/** Writes for ever, as fast as the other side reads. */
const flood = (socket: Socket, chunk: string | Buffer) => {
  const write = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on("drain", write);
  write();
};

/** Writes for ever, too slowly for anybody, and never silent for long. */
const trickle = (socket: Socket, text: string) => {
  const timer = setInterval(() => socket.writable && socket.write(text), 20);
  socket.on("close", () => clearInterval(timer));
};

const noise = Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7919) % 256));
const head = (...lines: readonly string[]) => `HTTP/1.1 ${lines.join("\r\n")}\r\n\r\n`;
const bomb = gzipSync(Buffer.alloc(20_000_000));

/** Those that could be of any protocol. */
export const tcpMisdeeds: Readonly<Record<string, Misdeed>> = {
  "stays silent": () => {},
  "closes at once": (socket) => socket.end(),
  "resets the connection": (socket) => socket.resetAndDestroy(),
  "sends noise": (socket) => socket.end(noise),
  "sends noise for ever": (socket) => flood(socket, noise),
  "sends one letter for ever": (socket) => flood(socket, "a".repeat(65_536)),
  "sends a letter now and then": (socket) => trickle(socket, "a"),
};

/** Before there is a status that decides anything. */
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

/** With the status 200, and a body that is none. */
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

/** Speaks SMTP up to a command, or not at all; there the misdeed is done. */
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
/** Whoever connects meets the misdeed, at once or (`after: "request"`) when it has sent something. */
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
  // An address of the family IP, since it listens on one.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    /** How often somebody has connected. */
    met: () => met,
    /** How many connections the other side has not let go. */
    held: () => sockets.size,
  };
}

/** A name server that answers each question so. */
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

/** As RFC 1035 has it: the question's id and flags, with other bits. */
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
  // Over TCP nobody is there.
  "says that its answer was cut": (question) => answered(question, 0x8380),
  fails: (question) => answered(question, 0x8182),
  refuses: (question) => answered(question, 0x8185),
};
