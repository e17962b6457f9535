import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { createOutbound, type OutboundOptions, type OutboundRequest } from "./outbound.ts";

const get = { method: "GET", headers: {}, timeoutMs: 5_000, maxBytes: 1_000 };

/** What becomes of a request: its status, or why there was none. */
async function ask(
  url: string,
  options: Partial<OutboundOptions> = {},
  request: Partial<OutboundRequest> = {},
): Promise<number | string> {
  const outbound = createOutbound({ allowLoopback: false, ...options });
  return outbound(url, { ...get, ...request }).then(
    ({ status }) => status,
    (error) => error.failure,
  );
}

async function listen(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // An address of the family IP, since it listens on one.
  return (server.address() as AddressInfo).port;
}

const inside = [
  "127.0.0.1",
  "127.8.8.8",
  "0.0.0.0",
  "10.1.2.3",
  "172.16.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "fe80::1",
  "fd00:ec2::254",
  "fec0::1",
  "::ffff:127.0.0.1",
  "::ffff:a00:1",
  "::127.0.0.1",
  "64:ff9b::a00:1",
  "2002:7f00:1::",
  "ff02::1",
];

describe("an address that is not public is not asked", () => {
  it.each(inside)("%s, as it is written and by a name", async (address) => {
    const host = address.includes(":") ? `[${address}]` : address;
    expect(await ask(`https://${host}/`)).toBe("address_refused");
    const resolve = async () => [address];
    expect(await ask("https://inside.example/", { resolve })).toBe("address_refused");
  });

  it.each(["2130706433", "0x7f.1", "017700000001", "127.1", "localhost", "①②⑦.0.0.1"])(
    "https://%s/, another spelling of it",
    async (host) => {
      expect(await ask(`https://${host}/`)).toBe("address_refused");
    },
  );

  it("nor is a name with a public address beside one that is not", async () => {
    const resolve = async () => ["8.8.8.8", "10.0.0.1"];
    expect(await ask("https://both.example/", { resolve })).toBe("address_refused");
  });

  it.each([
    "http://8.8.8.8/",
    "https://8.8.8.8:0/",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "https://a:b@8.8.8.8/",
    "//",
  ])("nor is %s", async (url) => {
    expect(await ask(url, { allowLoopback: true })).toBe("address_refused");
  });

  it("in development only this machine is, and it alone without TLS", async () => {
    const port = await listen((_, reply) => reply.end("ok"));
    expect(await ask(`http://127.0.0.1:${port}/`, { allowLoopback: true })).toBe(200);
    expect(await ask(`http://127.0.0.1:${port}/`)).toBe("address_refused");
    expect(await ask("http://10.0.0.1/", { allowLoopback: true })).toBe("address_refused");
  });
});

describe("what is asked", () => {
  it("is the address that was checked, whatever the DNS says next (rebinding)", async () => {
    const port = await listen((request, reply) => reply.end(request.headers.host));
    let asked = 0;
    const outbound = createOutbound({
      allowLoopback: true,
      resolve: async () => {
        asked += 1;
        return asked === 1 ? ["127.0.0.1"] : ["10.0.0.1"];
      },
    });
    const answer = await outbound(`http://rebound.example:${port}/`, get);
    expect(await answer.text()).toBe(`rebound.example:${port}`);
    expect(asked).toBe(1);
  });

  it("is not where a redirect leads", async () => {
    let followed = false;
    const port = await listen((request, reply) => {
      followed ||= request.url === "/next";
      reply.writeHead(302, { location: "/next" }).end();
    });
    expect(await ask(`http://127.0.0.1:${port}/`, { allowLoopback: true })).toBe(302);
    expect(followed).toBe(false);
  });

  it("may be silent, slow or endless: time and size have a bound", async () => {
    const silent = await listen(() => {});
    const slow = await listen((_, reply) => {
      const timer = setInterval(() => reply.write("."), 20);
      reply.on("close", () => clearInterval(timer));
    });
    const endless = await listen((_, reply) => reply.end("x".repeat(100_000)));
    const at = (port: number, request = {}) =>
      ask(`http://127.0.0.1:${port}/`, { allowLoopback: true }, request);
    expect(await at(silent, { timeoutMs: 100 })).toBe("timeout");
    expect(await at(slow, { timeoutMs: 200 })).toBe("timeout");
    expect(await at(endless)).toBe("too_large");
    const resolve = () => new Promise<string[]>(() => {});
    expect(await ask("https://unnamed.example", { resolve }, { timeoutMs: 50 })).toBe("timeout");
  });

  it("may be away", async () => {
    expect(await ask("http://127.0.0.1:1/", { allowLoopback: true })).toBe("unreachable");
  });

  it("gets method, headers and body", async () => {
    const port = await listen(async (request, reply) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      reply.setHeader("x-seen", `${request.method} ${request.headers["x-test"]} ${body}`).end();
    });
    const outbound = createOutbound({ allowLoopback: true });
    const answer = await outbound(`http://127.0.0.1:${port}/`, {
      ...get,
      method: "POST",
      headers: { "x-test": "1" },
      body: "hello",
    });
    expect(answer.headers.get("x-seen")).toBe("POST 1 hello");
  });
});
