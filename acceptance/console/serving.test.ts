/** The console as operators put it into place: what is served, where, and behind what. */
import { request as ask, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StartedServer, startServer, temporaryFolder } from "../server.ts";
import { until } from "../until.ts";

const prefix = "/tools/insulae";
const accept = "text/html";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let proxy: Server;
let server: StartedServer;
let origin: string;

/** Takes the prefix away, as `location /tools/insulae/ { proxy_pass http://node/; }` does. */
const startProxy = (port: number) =>
  createServer((incoming, outgoing) => {
    const { method, headers, url = "" } = incoming;
    if (!url.startsWith(`${prefix}/`)) return outgoing.writeHead(404).end();
    const path = url.slice(prefix.length);
    const passed = ask({ port, host: "localhost", method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.once("error", () => outgoing.writeHead(502).end());
    incoming.pipe(passed);
  });

beforeAll(async () => {
  folder = await temporaryFolder();
  let port = 0;
  proxy = createServer();
  await new Promise<void>((resolve) => proxy.listen(0, "localhost", resolve));
  const front = (proxy.address() as AddressInfo).port; // it listens on TCP
  origin = `http://localhost:${front}`;
  server = await startServer({
    dataDir: folder.path,
    env: { PUBLIC_URL: `${origin}${prefix}`, CONSOLE: "platform" },
  });
  port = Number(new URL(server.url).port);
  for (const handler of startProxy(port).listeners("request")) {
    proxy.on("request", handler as () => void);
  }
  await until(
    () => `the console is built:\n${server.output()}`,
    async () => (await get("/console/")).status === 200,
    120_000,
  );
}, 180_000);
afterAll(async () => {
  await server?.stop();
  proxy?.closeAllConnections();
  proxy?.close();
  await folder?.remove();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${origin}${prefix}${path}`, { headers: { accept, ...headers }, redirect: "manual" });

describe("behind a proxy that strips a prefix", () => {
  test("each page and all that it loads is found below the prefix", async () => {
    for (const path of ["/console/", "/console/t/acme/users", "/console/sign-in?next=%2Fp"]) {
      const page = await get(path);
      const text = await page.text();
      const [, base = ""] = /<base href="([^"]*)"/.exec(text) ?? [];
      expect([path, page.status, base]).toEqual([path, 200, `${prefix}/console/`]);
      const parts = [...text.matchAll(/(?:src|href)="(\.?\/?[^"]+)"/g)]
        .map(([, part = ""]) => part)
        .filter((part) => part !== base);
      expect(parts.length).toBeGreaterThan(1);
      for (const part of parts) {
        const url = new URL(part, new URL(base, origin));
        expect(url.pathname).toMatch(new RegExp(`^${prefix}/console/`));
        expect([part, (await fetch(url)).status]).toEqual([part, 200]);
      }
    }
  });

  test("the way from / and the link at the start lead there", async () => {
    const home = await get("/");
    expect([home.status, home.headers.get("location")]).toEqual([302, `${prefix}/console/`]);
    expect(server.output()).toMatch(/\/console\/start#[\w-]{43}/);
  });

  test("files are compressed, kept for good, and their unknown neighbours are no pages", async () => {
    const text = await (await get("/console/")).text();
    const [, script = ""] = /src="(?:\.\/)?(assets\/[^"]+\.js)"/.exec(text) ?? [];
    const file = await get(`/console/${script}`, { "accept-encoding": "br" });
    expect(file.headers.get("content-encoding")).toBe("br");
    expect(file.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const gone = await get("/console/assets/gone-00000000.js", { accept: "*/*" });
    expect([gone.status, gone.headers.get("content-type")]).toEqual([
      404,
      "text/plain; charset=utf-8",
    ]);
  });

  test("at a tenant's host there is none with CONSOLE=platform", async () => {
    await fetch(`${server.url}/api/v1/tenants`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key: "acme", name: "Acme" }),
    });
    const { port } = new URL(server.url);
    const status = await new Promise((resolve, reject) => {
      const headers = { host: `acme.localhost:${port}`, accept };
      ask({ port, host: "localhost", path: "/console/", headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .once("error", reject)
        .end();
    });
    expect(status).toBe(404);
  });
});

test("CONSOLE=off: nothing at /console, and the log says that mails lead nowhere", async () => {
  const other = await temporaryFolder();
  const off = await startServer({ dataDir: other.path, env: { CONSOLE: "off" } });
  try {
    expect((await fetch(`${off.url}/console`, { headers: { accept } })).status).toBe(404);
    expect(off.output()).toMatch(/E-mails link to http:\/\/localhost:\d+, where no pages are/);
    expect(off.output()).not.toContain("/console/start");
    expect(await (await fetch(off.url)).text()).toContain("Try it");
  } finally {
    await off.stop();
    await other.remove();
  }
}, 60_000);
