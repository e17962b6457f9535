import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp } from "../src/app/app.ts";
import { createTlsEntrance } from "../src/app/tls-entrance.ts";
import { unlimited } from "../src/kernel/http/limits/request-limits.ts";
import { createHttpServer } from "../src/kernel/http/server/server.ts";
import { createMetrics } from "../src/kernel/telemetry/metrics.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";
import { makeCertificate, type TestCertificate } from "../src/testing/test-certificates.ts";

let app: App;
let port: number;

const httpOptions = {
  metrics: createMetrics(),
  identify: () => {
    throw new Error("nobody is identified here");
  },
  authorise() {},
  health: { database: async () => {} },
  cors: {
    origins: { classify: () => "foreign" as const, isKnown: () => false },
    credentials: false,
  },
  limits: unlimited,
  cursorSecret: "a secret of at least thirty-two bytes",
  baseUrl: () => "http://localhost:8000",
  version: "1.2.3",
  production: false,
  log: pino({ level: "silent" }),
};

beforeAll(async () => {
  app = await createTestApp();
  await app.tenants.create({ key: "acme", name: "Acme" });
  await app.tenants.create({ key: "globex", name: "Globex" });
  await app.listen({ port: 0, host: "127.0.0.1", tlsPort: 0 });
  port = app.tlsPort() ?? 0;
});

afterAll(() => app?.close());

interface Asked {
  readonly at?: number;
  /** The name in the client's first message; none: undefined. */
  readonly name?: string | undefined;
  readonly ca?: string;
  readonly maxVersion?: "TLSv1.1" | "TLSv1.2" | "TLSv1.3";
}

async function shakeHands({ at = port, name, ca, maxVersion }: Asked): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port: at,
    ...(name !== undefined && { servername: name }),
    ...(ca !== undefined && { ca }),
    ...(maxVersion && {
      minVersion: "TLSv1" as const,
      maxVersion,
      // Or OpenSSL would not even offer the old ones.
      ciphers: "DEFAULT@SECLEVEL=0",
    }),
    // Which certificate it is, the tests look up themselves.
    rejectUnauthorized: ca !== undefined,
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket.on("error", () => {});
}

/** The fingerprint of what the server shows for a host. */
async function shown(name: string, at = port): Promise<string | undefined> {
  const socket = await shakeHands({ at, name });
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
  socket.destroy();
  return fingerprint?.replaceAll(":", "").toLowerCase();
}

const fingerprint = async ({ certificate }: TestCertificate): Promise<string> =>
  Buffer.from(await certificate.getThumbprint("SHA-256")).toString("hex");

async function get(host: string, path: string, headers: Record<string, string> = {}) {
  const asked = request({
    host: "127.0.0.1",
    port,
    path,
    servername: host,
    headers: { host, ...headers },
    rejectUnauthorized: false,
    agent: false,
  });
  asked.end();
  const [response] = await once(asked, "response");
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode as number, text };
}

describe("a host with a certificate", () => {
  test("shows it to those who ask for the host, and a client that checks is content", async () => {
    const pair = await makeCertificate({ hosts: ["shop.acme.example"] });
    await app.hosts.register("shop.acme.example", { tenant: "acme", tls: pair });
    const socket = await shakeHands({ name: "shop.acme.example", ca: pair.cert });
    expect(socket.authorized).toBe(true);
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(await shown("SHOP.acme.EXAMPLE")).toBe(await fingerprint(pair));
    expect((await get("shop.acme.example", "/health/live")).text).toContain("alive");
  });

  test("has the next one from the next connection on, and the open one goes on", async () => {
    const [first, second] = await Promise.all([make("renewed.example"), make("renewed.example")]);
    await app.hosts.register("renewed.example", { tenant: "acme", tls: first });
    const open = await shakeHands({ name: "renewed.example" });
    await put("renewed.example", second);
    expect(await shown("renewed.example")).toBe(await fingerprint(second));
    open.write("GET /health/live HTTP/1.1\r\nhost: renewed.example\r\n\r\n");
    expect(String(await once(open, "data"))).toContain("200 OK");
  });

  test("shows a new one on every node", async () => {
    const second = await createApp({
      env: {},
      config: { ...app.config },
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => second.close());
    await second.listen({ port: 0, host: "127.0.0.1", tlsPort: 0 });
    const at = second.tlsPort() ?? 0;
    const [before, after] = await Promise.all([make("nodes.example"), make("nodes.example")]);
    await app.hosts.register("nodes.example", { tenant: "acme", tls: before });
    await vi.waitFor(async () =>
      expect(await shown("nodes.example", at)).toBe(await fingerprint(before)),
    );
    await put("nodes.example", after);
    await vi.waitFor(async () =>
      expect(await shown("nodes.example", at)).toBe(await fingerprint(after)),
    );
  });

  test("keeps its private key sealed", async () => {
    const pair = await makeCertificate({ hosts: ["sealed.example"] });
    await app.hosts.register("sealed.example", { tenant: "acme", tls: pair });
    const rows = await app.withPlatform("a look", ({ control }) =>
      control.selectFrom("control.host_certificates").select("sealed_key").execute(),
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { sealed_key } of rows) expect(sealed_key).toMatch(/^v1\.[\w-]+$/);
  });

  test("loses it with its host", async () => {
    const pair = await makeCertificate({ hosts: ["gone.example"] });
    await app.hosts.register("gone.example", { tenant: "acme", tls: pair });
    expect(await shown("gone.example")).toBe(await fingerprint(pair));
    await app.hosts.unregister("gone.example");
    await vi.waitFor(() => expect(shown("gone.example")).rejects.toThrow(/alert/));
  });
});

describe("a name that the server has no certificate for", () => {
  test("ends in an alert where the server has none of its own", async () => {
    await expect(shown("nobody.example")).rejects.toThrow(/alert/);
    await expect(shakeHands({})).rejects.toThrow(/alert/);
  });

  test("gets the server's own, also after that was renewed", async () => {
    const dir = await mkdtemp(join(tmpdir(), "insulae-tls-"));
    onTestFinished(() => rm(dir, { recursive: true }));
    const [tlsCertFile, tlsKeyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")];
    const write = async (pair: TestCertificate) => {
      await writeFile(tlsCertFile, pair.cert);
      await writeFile(tlsKeyFile, pair.key);
    };
    const [before, after] = await Promise.all([make("platform.example"), make("platform.example")]);
    await write(before);

    const lines: string[] = [];
    const http = createHttpServer({ ...httpOptions, features: [] });
    onTestFinished(() => http.close());
    const certificates = {
      contextFor: () => undefined,
      endingSoon: async () => [{ hostname: "old.example", notAfter: new Date(0) }],
    };
    const entrance = createTlsEntrance({
      config: { tlsCertFile, tlsKeyFile },
      http,
      certificates,
      log: pino({ base: null }, { write: (line: string) => void lines.push(line) }),
    });
    await http.ready();
    await entrance.listen({ port: 0, host: "127.0.0.1" });
    const at = entrance.port() ?? 0;
    for (const name of ["platform.example", "anything.example", "!"]) {
      expect(await shown(name, at)).toBe(await fingerprint(before));
    }
    await write(after);
    await entrance.inspect();
    expect(await shown("platform.example", at)).toBe(await fingerprint(after));
    expect(lines.join("")).toContain("old.example");
  });
});

test.each(["TLSv1.1" as const])("%s is not spoken", async (maxVersion) => {
  const pair = await make("modern.example");
  await app.hosts.register("modern.example", { tenant: "acme", tls: pair });
  await expect(shakeHands({ name: "modern.example", maxVersion })).rejects.toThrow(
    /alert protocol version/,
  );
  expect(await shakeHands({ name: "modern.example", maxVersion: "TLSv1.2" })).toBeDefined();
});

describe("the tenant of a request over TLS", () => {
  beforeAll(async () => {
    await app.hosts.register("a.acme.example", {
      tenant: "acme",
      tls: await make("a.acme.example"),
    });
    await app.hosts.register("b.globex.example", {
      tenant: "globex",
      tls: await make("b.globex.example"),
    });
  });

  const sendRaw = async (name: string, head: string): Promise<string> => {
    const socket = await shakeHands({ name });
    socket.write(`${head}connection: close\r\n\r\n`);
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += chunk;
    return text;
  };
  const login = (host: string) => `GET /api/v1/tenants/acme HTTP/1.1\r\nhost: ${host}\r\n`;

  test("has one host, as without TLS", async () => {
    const twice = await sendRaw(
      "a.acme.example",
      `${login("a.acme.example")}host: b.globex.example\r\n`,
    );
    expect(twice).toMatch(/^HTTP\/1.1 400 /);
    const absolute = await sendRaw(
      "a.acme.example",
      "GET https://b.globex.example/health HTTP/1.1\r\nhost: a.acme.example\r\n",
    );
    expect(absolute).toMatch(/^HTTP\/1.1 400 /);
    expect(await sendRaw("a.acme.example", login("user@a.acme.example"))).toMatch(
      /^HTTP\/1.1 400 /,
    );
  });

  test("is the Host's, not that of the name in the handshake nor of a header that anybody can send", async () => {
    const { body } = await call(
      "POST",
      "/auth/register",
      { email: "u@acme.example", password },
      "acme",
    );
    const ask = (host: string, more: Record<string, string> = {}) =>
      get(host, "/api/v1/contacts", { authorization: `Bearer ${body.access_token}`, ...more });
    expect((await ask("a.acme.example")).status).toBe(200);
    expect((await ask("a.acme.example", { "x-forwarded-host": "b.globex.example" })).status).toBe(
      200,
    );
    expect((await ask("A.Acme.Example.:443")).status).toBe(200);
    const crossed = await ask("b.globex.example", { "x-forwarded-host": "a.acme.example" });
    expect([crossed.status, JSON.parse(crossed.text).code]).toEqual([403, "tenant_access_denied"]);
  });
});

describe("a certificate that", () => {
  const cases: readonly (readonly [string, () => Promise<{ cert: string; key: string }>])[] = [
    ["has expired", () => makeCertificate({ hosts: ["unfit.example"], from: -2, to: -1 })],
    ["is not valid yet", () => makeCertificate({ hosts: ["unfit.example"], from: 1, to: 2 })],
    ["is another host's", () => makeCertificate({ hosts: ["other.example"] })],
    ["names the host as a subject only", () => makeCertificate({ subject: "CN=unfit.example" })],
    [
      "comes with another's key",
      async () => ({ ...(await make("unfit.example")), key: (await make("x.example")).key }),
    ],
    ["is none", async () => ({ ...(await make("unfit.example")), cert: "no certificate" })],
    ["has no key", async () => ({ ...(await make("unfit.example")), key: "no key" })],
  ];
  test.each(cases)("%s is refused, and the host is not registered", async (_, pair) => {
    await expect(
      app.hosts.register("unfit.example", { tenant: "acme", tls: await pair() }),
    ).rejects.toMatchObject({ code: "unfit_certificate" });
    expect(await app.hosts.list()).not.toContainEqual(
      expect.objectContaining({ hostname: "unfit.example" }),
    );
  });

  test("covers the host with a wildcard will do", async () => {
    const pair = await makeCertificate({ hosts: ["*.wild.example"] });
    await app.hosts.register("shop.wild.example", { tenant: "acme", tls: pair });
    expect(await shown("shop.wild.example")).toBe(await fingerprint(pair));
  });
});

const password = "a-Fine-passphrase-7";

async function call(
  method: "POST" | "PUT",
  path: string,
  body: object,
  tenant?: string,
  token?: string,
) {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: {
      ...(tenant !== undefined && { "x-tenant": tenant }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    payload: body,
  });
  return { status: reply.statusCode, body: reply.json() };
}

const make = (host: string): Promise<TestCertificate> => makeCertificate({ hosts: [host] });

/** As an administrator of the platform renews it. */
async function put(hostname: string, pair: TestCertificate): Promise<void> {
  await app.ensureAdmin({ email: "admin@example.com", password });
  const login = await call("POST", "/auth/login", { email: "admin@example.com", password });
  const body = { certificate: pair.cert, private_key: pair.key };
  const path = `/tenants/acme/hosts/${hostname}/certificate`;
  const reply = await call("PUT", path, body, undefined, login.body.access_token);
  expect(reply.status, JSON.stringify(reply.body)).toBe(200);
  expect(JSON.stringify(reply.body)).not.toContain("PRIVATE");
}
