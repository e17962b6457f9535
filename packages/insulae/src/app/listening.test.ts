/** What an app does when it begins to serve, and the URLs that it then uses. */
import { once } from "node:events";
import { createServer } from "node:net";
import { decodeJwt } from "jose";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sitesOf } from "../features/accounts/accounts.feature.ts";
import { type App, type Config, feature, ListenError, standardFeatures, Type } from "../index.ts";
import { freePort } from "../testing/free-port.ts";
import { createTestApp } from "../testing/index.ts";
import { openTestPeople, type TestPeople } from "../testing/test-people.ts";

const here = feature("here", {
  routes: (r) => [
    r.get(
      "/here",
      { permission: "public", context: "any", summary: "Says where", response: Type.String() },
      ({ request }) => request.baseUrl,
    ),
  ],
});

async function open(config: Partial<Config> = {}): Promise<TestPeople> {
  const people = await openTestPeople({ config, features: [...standardFeatures, here] });
  onTestFinished(() => people.close());
  return people;
}

const allowedOrigin = async ({ app }: TestPeople, host: string, origin: string) => {
  const headers = { host, origin, "access-control-request-method": "GET" };
  const reply = await app.inject({ method: "OPTIONS", url: "/api/v1/me", headers });
  return reply.headers["access-control-allow-origin"] === origin;
};

/** Everywhere that an app uses its own URL, evaluated now. */
async function saysOf(people: TestPeople) {
  const { app } = people;
  const tenant = await people.newTenant({ hosts: [`h${Math.random()}.example`] });
  const { token, user } = await people.register(tenant);
  const owner = await people.newOwner(tenant);
  const upload = await people.post("/api/v1/files", {
    token: owner.token,
    body: { file_name: "a.txt", mime_type: "text/plain", file_size: 1 },
  });
  await people.post("/api/v1/auth/password-reset-request", {
    tenant: tenant.key,
    body: { email: user.email },
  });
  const mails = await people.mailsTo(user.email);
  const links = mails.flatMap(({ text }) => text.match(/https?:\/\/[^\s]+/g) ?? []);
  const origin = (url: string | undefined) => new URL(url ?? "about:blank").origin;
  return {
    issuer: decodeJwt(token).iss,
    servers: (await app.inject("/api-docs/openapi.json")).json().servers[0].url,
    config: [app.config.baseUrl, app.config.appUrl],
    handler: (await people.get("/api/v1/here")).body,
    upload: origin(upload.body.upload?.url),
    links: [...new Set(links.map(origin))],
    passkeys: sitesOf(app.config, undefined)[0].origins,
    tenant,
  };
}

const everywhere = (url: string) => ({
  issuer: url,
  servers: url,
  config: [url, `${url}/console`],
  handler: url,
  upload: url,
  links: [url],
  passkeys: [url],
});

describe("without PUBLIC_URL, an app that listens", () => {
  test.each([
    ["on whichever port is free", () => 0],
    ["on another port than PORT", freePort],
  ])("%s uses the actual port in all its URLs", async (_name, choose) => {
    const people = await open({ port: 8000 });
    // Earlier values are not cached.
    const { tenant } = await saysOf(people);
    const pages = `http://${tenant.hosts[0]}`;
    const host = `${tenant.slug}.localhost`;
    expect(await allowedOrigin(people, host, `${pages}:8000`)).toBe(true);
    const { token } = await people.newAccount();

    const { port } = new URL(await people.app.listen({ port: await choose() }));
    const { tenant: _tenant, ...says } = await saysOf(people);
    expect(says).toEqual(everywhere(`http://localhost:${port}`));
    expect(await allowedOrigin(people, host, `${pages}:8000`)).toBe(false);
    expect(await allowedOrigin(people, host, `${pages}:${port}`)).toBe(true);
    // Sessions from before it listened remain valid.
    expect((await people.get("/api/v1/auth/me", { token })).status).toBe(200);
  });
});

test("with PUBLIC_URL, an app's URL does not depend on its port", async () => {
  const url = "https://api.example.com";
  const people = await open({ baseUrl: url });
  await people.app.listen({ port: 0 });
  const { tenant: _tenant, ...says } = await saysOf(people);
  expect(says).toEqual(everywhere(url));
});

test("with APP_URL, links use that, and the rest follows the port", async () => {
  const people = await open({ appUrl: "https://app.example.com" });
  const { port } = new URL(await people.app.listen({ port: 0 }));
  const { links, issuer } = await saysOf(people);
  expect({ links, issuer }).toEqual({
    links: ["https://app.example.com"],
    issuer: `http://localhost:${port}`,
  });
});

describe("a port that is taken", () => {
  const taken = async () => {
    const blocker = createServer().listen(0, "localhost");
    onTestFinished(() => void blocker.close());
    await once(blocker, "listening");
    const address = blocker.address();
    return typeof address === "object" && address ? address.port : 0;
  };
  const refusal = async (app: App, options?: Parameters<App["listen"]>[0]) => {
    const error = await app.listen(options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ListenError);
    return String(error);
  };

  test("is reported with its owner and the setting", async () => {
    const port = await taken();
    const { app } = await open({ port });
    const by = `Port ${port} is taken by`;
    expect(await refusal(app)).toContain(by);
    expect(await refusal(app)).toContain(`pid ${process.pid}`);
    expect(await refusal(app)).toContain(`PORT=${port + 1}`);
    expect(await refusal(app, { port })).toContain(`listen({ port: ${port + 1} })`);
    const tls = await refusal(app, { port: 0, tlsPort: port });
    expect(tls).toContain(`listen({ tlsPort: ${port + 1} })`);
  });

  test("closes an app that runs as the process", async () => {
    const app = await createTestApp({ config: { port: await taken() } });
    await expect(app.run()).rejects.toThrow(/is taken/);
    await expect(app.withPlatform("a test", async () => {})).rejects.toThrow();
    await app.close();
  });
});

describe("the first administrator", () => {
  const count = ({ withPlatform }: App) =>
    withPlatform("a test", async ({ control }) =>
      (await control.selectFrom("control.accounts").select("email").execute()).map(
        ({ email }) => email,
      ),
    );

  test("is that of ADMIN_EMAIL and ADMIN_PASSWORD, once it listens", async () => {
    const app = await createTestApp({
      config: { adminEmail: "ada@example.org", adminPassword: "a-Fine-passphrase-7" },
    });
    onTestFinished(() => app.close());
    expect(await count(app)).toEqual([]);
    await app.listen({ port: 0 });
    expect(await count(app)).toEqual(["ada@example.org"]);
  });

  test("is not generated by an app that prints nothing", async () => {
    const print = vi.spyOn(process.stdout, "write");
    onTestFinished(() => print.mockRestore());
    const app = await createTestApp();
    onTestFinished(() => app.close());
    await app.listen({ port: 0 });
    expect(await count(app)).toEqual([]);
    expect(print).not.toHaveBeenCalled();
  });
});

test("neither creating an app nor listening changes the process", async () => {
  const state = () => ({
    listeners: process.eventNames().map((name) => [name, process.listenerCount(name)]),
    env: { ...process.env },
    flags: [...process.execArgv],
    folder: process.cwd(),
    exposed: "gc" in globalThis,
  });
  const before = state();
  const app = await createTestApp();
  await app.listen({ port: 0 });
  expect(state()).toEqual(before);
  await app.close();
  expect(state()).toEqual(before);
});
