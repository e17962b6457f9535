import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { freePort } from "../../testing/free-port.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { bearer, type Handshake, listenWith, viewersAt } from "./log-viewers-fixture.ts";

let people: TestPeople;
let port: number;
const { watch, refusal } = viewersAt(() => port);
let [a, b] = [] as unknown as [Tenant, Tenant];
let owner: Awaited<ReturnType<TestPeople["newOwner"]>>;

beforeAll(async () => {
  people = await openTestPeople({ config: { corsOrigins: ["https://pages.example.com"] } });
  port = await listenWith(people.app);
  [a, b] = [await people.newTenant(), await people.newTenant()];
  owner = await people.newOwner(a);
}, 60_000);
afterAll(() => people?.close());

/** A request of the tenant, which leaves a line. */
const request = (token: string) => people.get("/api/v1/auth/me", { token });

describe("the handshake", () => {
  it("takes a header, a query parameter, a cookie and a ticket", async () => {
    const login = await people.app.inject({
      method: "POST",
      url: "/api/v1/auth/login",
      headers: { "x-tenant": a.key },
      payload: { email: owner.account.email, password: people.password, session: "cookie" },
    });
    const cookie = String(login.headers["set-cookie"]).split(";", 1)[0] ?? "";
    const ticket = await people.post("/api/v1/logs/tickets", { token: owner.token });
    expect(ticket.status).toBe(201);
    const ways: Handshake[] = [
      { headers: bearer(owner.token) },
      { query: `?token=${owner.token}` },
      { headers: { cookie, origin: "http://localhost:5173" } },
      { query: `?ticket=${ticket.body.ticket}` },
    ];
    for (const way of ways) {
      const viewer = await watch(way);
      await request(owner.token);
      expect(await viewer.line("request")).toContain(a.id);
      viewer.client.close();
      await viewer.ended;
    }
  });

  it("is taken from the WebSocket of Node, which is that of browsers", async () => {
    const viewer = new WebSocket(`ws://localhost:${port}/api/ws/logs?token=${owner.token}`);
    await once(viewer, "open");
    const message = once(viewer, "message");
    await request(owner.token);
    expect(String((await message)[0].data)).toMatch(/^\[.+\] INFO \[insulae::/);
    viewer.close();
    await once(viewer, "close");
  });

  it("refuses with 403, never 401", async () => {
    const user = await people.addUser(a, owner, { role: "manager", password: people.password });
    const other = await people.newOwner(b);
    const account = await people.newAccount();
    const key = await people.post("/api/v1/api-keys", {
      token: owner.token,
      body: { name: "watcher", scopes: ["logs:read"] },
    });
    const expected: readonly (readonly [Handshake, string])[] = [
      [{}, "403 authentication_required"],
      [{ headers: bearer("x") }, "403 invalid_token"],
      [{ query: "?token=x" }, "403 invalid_token"],
      [{ query: "?token=" }, "403 invalid_token"],
      [{ query: `?token=${owner.token}&token=${owner.token}` }, "403 invalid_token"],
      [{ query: `?token=${owner.token}`, headers: bearer(owner.token) }, "403 invalid_token"],
      [{ query: "?ticket=x" }, "403 invalid_token"],
      [
        { headers: { cookie: "__Host-insulae=x", origin: "http://localhost" } },
        "403 invalid_token",
      ],
      [{ headers: bearer(user.token) }, "403 permission_denied"],
      [{ headers: bearer(account.token) }, "403 permission_denied"],
      [{ query: `?token=${owner.refreshToken}` }, "403 invalid_token"],
      [{ headers: { ...bearer(other.token), "x-tenant": a.key } }, "403 tenant_access_denied"],
      // A machine sends it as a header; in an address it would last too long.
      [{ query: `?token=${key.body.key}` }, "403 invalid_token"],
    ];
    for (const [handshake, answer] of expected) {
      expect([handshake, await refusal(handshake)]).toEqual([handshake, answer]);
    }
    const machine = await watch({ headers: bearer(key.body.key) });
    machine.client.close();
  });

  it("refuses pages of foreign origins, whatever they show", async () => {
    const token = owner.token;
    const foreign = ["null", "https://evil.example", "https://pages.example.com.evil.example", ""];
    for (const origin of [...foreign, "http://localhost.evil.example", "file://"]) {
      const shown = [bearer(token), {}].map((headers) => ({ ...headers, origin }));
      for (const headers of shown) {
        const answer = await refusal({
          headers,
          query: shown[0] === headers ? "" : `?token=${token}`,
        });
        expect([origin, answer]).toEqual([origin, "403 origin_refused"]);
      }
    }
    for (const origin of ["https://pages.example.com", "http://localhost:3000"]) {
      const viewer = await watch({ headers: { origin, ...bearer(token) } });
      viewer.client.close();
    }
  });

  it("refuses a cookie that comes with no origin", async () => {
    const cookie = "__Host-insulae=whatever";
    expect(await refusal({ headers: { cookie } })).toBe("403 origin_refused");
  });

  it("takes a ticket once, on any node, and only of this purpose", async () => {
    const node = await people.openNode();
    onTestFinished(() => node.close());
    const elsewhere = await listenWith(node);
    const newTicket = async () =>
      (await people.post("/api/v1/logs/tickets", { token: owner.token })).body.ticket;

    const ticket = await newTicket();
    const viewer = await watch({ query: `?ticket=${ticket}`, port: elsewhere });
    viewer.client.close();
    expect(await refusal({ query: `?ticket=${ticket}` })).toBe("403 invalid_token");
    // Two tabs that are opened at once each have theirs.
    const [first, second] = [await newTicket(), await newTicket()];
    expect(await refusal({ query: `?ticket=${first}` })).toBe("let in");
    const atOnce = await Promise.allSettled(
      [1, 2, 3].map(() => refusal({ query: `?ticket=${second}` })),
    );
    expect(
      atOnce.filter((one) => one.status === "fulfilled" && one.value === "let in"),
    ).toHaveLength(1);
    const bearerTicket = await people.get("/api/v1/auth/me", { token: await newTicket() });
    expect(bearerTicket.status).toBe(401);
  });

  it("is not needed for a plain request, which is told so", async () => {
    const reply = await people.get("/api/ws/logs", { token: owner.token });
    expect([reply.status, reply.body.code]).toEqual([426, "upgrade_required"]);
  });

  it("outlives no client that goes away in the middle of it", async () => {
    for (let i = 0; i < 20; i += 1) {
      const socket = connect(port, "localhost");
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.write(
        `GET /api/ws/logs?ticket=${i} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      );
      socket.resetAndDestroy();
    }
    expect((await request(owner.token)).status).toBe(200);
  });

  it("to another route is a request like any other", async () => {
    expect(await refusal({ path: "/api/v1/auth/me", headers: bearer("x") })).toBe(
      "401 invalid_token",
    );
    expect(await refusal({ path: "/nowhere" })).toBe("404 not_found");
  });
});

describe("the port of the log stream", () => {
  it("serves the stream, and nothing else", async () => {
    const node = await people.openNode({ wsPort: await freePort() });
    onTestFinished(() => node.close());
    await listenWith(node);
    const own = node.logPort() ?? 0;
    const viewer = await watch({ port: own, path: "/logs", headers: bearer(owner.token) });
    viewer.client.close();
    expect(await refusal({ port: own, path: "/logs" })).toBe("403 authentication_required");
    expect(await refusal({ port: own, path: "/api/ws/logs", headers: bearer(owner.token) })).toBe(
      "404 not_found",
    );
    const other = await fetch(`http://localhost:${own}/api/v1/auth/me`, {
      headers: bearer(owner.token),
    });
    expect(other.status).toBe(404);
    expect(
      (await fetch(`http://localhost:${own}/logs`, { headers: bearer(owner.token) })).status,
    ).toBe(426);
  });

  it("may be another's in development, and must not in production", async () => {
    const config = { wsPort: port };
    const node = await people.openNode(config);
    onTestFinished(() => node.close());
    await listenWith(node);
    expect(node.logPort()).toBeUndefined();
  });
});

describe("a stream", () => {
  it("gives a tenant its own lines, whatever others write in theirs", async () => {
    const other = await people.newOwner(b);
    const own = await watch({ headers: bearer(owner.token) });
    const all = await watch({ headers: bearer((await people.admin()).token) });

    await request(other.token);
    await people.app.withTenant(b, async ({ log }) => {
      log.info({ tenant_id: a.id, tenant: a.key }, `secret of b, tenant_id=${a.id}`);
      log.child({ tenant_id: a.id }).info("another secret of b");
      log.warn({ [`","tenant_id":"${a.id}`]: 1 }, `"},{"tenant_id":"${a.id}"}\n`);
    });
    await people.onPlatform(async () => {});
    await people.get("/api/v1/auth/me", { token: "nobody's" });
    await request(owner.token);

    await own.line("request");
    expect(own.lines).toHaveLength(1);
    expect(own.lines.join()).not.toContain(b.id);
    await all.line("another secret of b");
    await all.line("Cross-tenant work");
  });

  it("shows lines of text, or of JSON, each on one line", async () => {
    const node = await people.openNode({ wsLogFormat: "json" });
    onTestFinished(() => node.close());
    const json = await watch({ headers: bearer(owner.token), port: await listenWith(node) });
    const text = await watch({ headers: bearer(owner.token) });
    for (const app of [node, people.app]) {
      await app.withTenant(a, async ({ log }) =>
        log.info({ module: "billing", count: 2 }, "an\ninvoice"),
      );
    }
    expect(await text.line("invoice")).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] INFO \[insulae::billing\] an\\ninvoice tenant_id=[0-9a-f-]{36} count=2$/,
    );
    expect(JSON.parse(await json.line("invoice"))).toEqual({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/),
      level: "INFO",
      target: "insulae::billing",
      message: `an\\ninvoice tenant_id=${a.id} count=2`,
    });
  });

  it("is of one node", async () => {
    const node = await people.openNode();
    onTestFinished(() => node.close());
    const viewer = await watch({ headers: bearer(owner.token) });
    await node.withTenant(a, async ({ log }) => log.warn("on the other node"));
    await people.app.withTenant(a, async ({ log }) => log.warn("on this node"));
    await viewer.line("on this node");
    expect(viewer.lines.join()).not.toContain("other node");
  });

  it("shows info to a viewer where the log itself is at warn", async () => {
    const node = await people.openNode({ logLevel: "warn" });
    onTestFinished(() => node.close());
    const viewer = await watch({ headers: bearer(owner.token), port: await listenWith(node) });
    await node.inject({ url: "/api/v1/auth/me", headers: bearer(owner.token) });
    await viewer.line("route=/api/v1/auth/me");
  });

  it("has no secrets in it, whatever logger the app was given", async () => {
    const viewer = await watch({ query: `?token=${owner.token}` });
    const secret = "hunter2-hunter2";
    await people.app.withTenant(a, async ({ log }) => {
      const err = Object.assign(new Error(`no way with Bearer ${owner.token}`), { code: "E_NO" });
      log.error(
        { err, password: secret, nested: { api_key: secret } },
        `postgres://u:${secret}@h/x`,
      );
      log.info({ headers: { authorization: secret, cookie: secret } }, `/x?token=${secret}&b=1`);
      log.info("last");
    });
    await viewer.line("last");
    const shown = viewer.lines.join();
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(owner.token);
    expect(shown).toContain("[redacted]");
  });

  it("is narrowed by WS_LOGS_ADMIN_USER", async () => {
    const admin = await people.addUser(a, owner, { role: "admin", password: people.password });
    const node = await people.openNode({ wsLogsAdminUsers: [admin.user.email.toUpperCase()] });
    onTestFinished(() => node.close());
    const there = await listenWith(node);
    const answer = await refusal({ headers: bearer(owner.token), port: there });
    expect(answer).toBe("403 permission_denied");
    (await watch({ headers: bearer(admin.token), port: there })).client.close();
  });

  it("is open ten times for one user, and not more often", async () => {
    const { token } = await people.newOwner(b);
    const viewers = await Promise.all([...Array(10)].map(() => watch({ headers: bearer(token) })));
    expect(await refusal({ headers: bearer(token) })).toBe("429 too_many_sockets");
    viewers[0]?.client.close();
    await viewers[0]?.ended;
    (await watch({ headers: bearer(token) })).client.close();
  });
});
