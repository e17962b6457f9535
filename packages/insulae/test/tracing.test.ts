/** Traces, as a collector receives them: a small one, which reads OTLP's JSON. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { standardFeatures } from "../src/features/index.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { createLogger, createLoggerTo } from "../src/kernel/telemetry/log.ts";
import { openTracing } from "../src/kernel/telemetry/open-tracing.ts";
import { withoutValues } from "../src/kernel/telemetry/tracing.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

interface Received {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly status: number | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** OTLP's way to write a map. */
const mapOf = (pairs: { key: string; value: Record<string, unknown> }[]) =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));

async function collector() {
  const spans: Received[] = [];
  const requests: { url: string | undefined; key: unknown; text: string }[] = [];
  const server = createServer(async (request, response) => {
    // biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, which the tests check
    const body = (await json(request)) as any;
    const { url, headers } = request;
    requests.push({ url, key: headers["x-key"], text: JSON.stringify(body) });
    for (const { resource, scopeSpans } of body.resourceSpans) {
      for (const span of scopeSpans.flatMap((scope: { spans: unknown[] }) => scope.spans)) {
        spans.push({
          ...span,
          status: span.status?.code,
          attributes: mapOf(span.attributes),
          resource: mapOf(resource.attributes),
        });
      }
    }
    response.setHeader("content-type", "application/json").end("{}");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { spans, requests, endpoint: `http://127.0.0.1:${port}`, close };
}

const slips = feature("slips", {
  routes: (r) => [
    r.get(
      "/slips/:token",
      {
        permission: "public",
        context: "any",
        summary: "Fails",
        params: Type.Object({ token: Type.String() }),
        query: Type.Object({ token: Type.String() }),
        response: Type.Unknown(),
      },
      () => {
        throw new Error("a secret-in-a-message slipped");
      },
    ),
    r.get(
      "/slips",
      { permission: "authenticated", summary: "Fails in SQL", response: Type.Unknown() },
      ({ db }) =>
        db.query("select 'secret-in-sql', 1987654321 / 0, $1::text", ["secret-in-a-value"]),
    ),
  ],
});

const traceId = "0af7651916cd43dd8448eb211c80319c";
const parentSpanId = "b7ad6b7169203331";

let received: Awaited<ReturnType<typeof collector>>;
let app: App;
let acme: TestMember;
beforeAll(async () => {
  received = await collector();
  app = await createTestApp({
    log: createLogger("silent"),
    features: [...standardFeatures, slips],
    config: {
      tracing: {
        endpoint: received.endpoint,
        headers: { "x-key": "of the collector" },
        service: "shop",
        ratio: 1,
      },
    },
  });
  acme = await createMember(app);
}, 60_000);
afterAll(async () => {
  await app?.close();
  received?.close();
});

const ask = (url: string, headers: Record<string, string> = {}, payload?: object) =>
  app.inject({
    method: payload ? "POST" : "GET",
    url,
    headers: { authorization: `Bearer ${acme.token}`, ...headers },
    ...(payload && { payload }),
  });

/** The spans of the trace, once that of the request is there. */
async function traced(id: string): Promise<Received[]> {
  const find = () => received.spans.filter((span) => span.traceId === id);
  await expect.poll(() => find().some(({ kind }) => kind === 2), { timeout: 10_000 }).toBe(true);
  return find();
}

/** Sends it as a part of a trace of its own. */
async function askTraced(url: string, payload?: object) {
  const id = crypto.randomUUID().replaceAll("-", "");
  const reply = await ask(url, { traceparent: `00-${id}-${parentSpanId}-01` }, payload);
  return { reply, spans: await traced(id) };
}

describe("a trace", () => {
  it("has a span for the request, and below it one for each statement", async () => {
    await ask("/api/v1/contacts");
    const { reply, spans } = await askTraced("/api/v1/contacts?limit=5");
    expect(reply.statusCode).toBe(200);
    const [request] = spans.filter(({ kind }) => kind === 2);
    expect(request).toMatchObject({
      name: "GET /api/v1/contacts",
      parentSpanId,
      attributes: {
        "http.request.method": "GET",
        "http.route": "/api/v1/contacts",
        "http.response.status_code": 200,
        "insulae.tenant.id": acme.tenant.id,
        "user.id": acme.userId,
        "insulae.request.id": reply.headers["x-request-id"],
      },
      resource: { "service.name": "shop" },
    });
    const statements = spans.filter(({ kind }) => kind === 3);
    expect(statements.map(({ name }) => name)).toEqual(["SELECT"]);
    expect(statements[0]).toMatchObject({
      parentSpanId: request?.spanId,
      attributes: {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.text": expect.stringContaining("contacts"),
      },
    });
  });

  it("has the statements of a request whose body was waited for, and of its transaction", async () => {
    const { reply, spans } = await askTraced("/api/v1/contacts", { name: "Grace Secret-Hopper" });
    expect(reply.statusCode).toBe(201);
    const names = spans.filter(({ kind }) => kind === 3).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    const { spans: order } = await askTraced("/api/v1/auth/login", {
      email: "nobody@example.com",
      password: "Secret-passphrase",
    });
    expect(order.filter(({ kind }) => kind === 3).length).toBeGreaterThan(0);
    expect(received.requests.map(({ text }) => text).join()).not.toContain("Secret-");
  });

  it("is the caller's, where it says so in the form of W3C Trace Context", async () => {
    await ask("/health/live", { traceparent: `00-${traceId}-${parentSpanId}-01` });
    expect(await traced(traceId)).toMatchObject([{ name: "GET /health/live", parentSpanId }]);
  });

  it("is a new one where the caller's makes no sense", async () => {
    const replies = await Promise.all(
      [
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        `00-${traceId}-0000000000000000-01`,
        `ff-${traceId}-${parentSpanId}-01`,
        `00-${traceId}-${parentSpanId}-01-more`,
        `00-${traceId.toUpperCase()}-${parentSpanId}-01`,
        "nonsense",
      ].map((traceparent) => ask("/health/live", { traceparent })),
    );
    for (const { headers } of replies) {
      const id = headers["x-request-id"];
      const mine = () =>
        received.spans.find((span) => span.attributes["insulae.request.id"] === id);
      await expect.poll(mine, { timeout: 10_000 }).toBeDefined();
      expect(mine()?.parentSpanId).toBeUndefined();
      expect(mine()?.traceId).not.toBe(traceId);
    }
  });

  it("says what failed, and neither values, messages, addresses nor tokens (attack 111)", async () => {
    const failed = await askTraced("/api/v1/slips/secret-in-a-path?token=secret-in-a-query");
    expect(failed.spans).toMatchObject([
      { name: "GET /api/v1/slips/:token", status: 2, attributes: { "error.type": "500" } },
    ]);
    const { spans } = await askTraced("/api/v1/slips");
    expect(spans.find(({ kind }) => kind === 3)).toMatchObject({
      status: 2,
      attributes: { "error.type": "22012", "db.query.text": "select ?, ? / ?, $1::text" },
    });
    const all = received.requests.map(({ text }) => text).join();
    expect(all).not.toMatch(/secret-in|1987654321/);
    expect(all).not.toContain(acme.token);
  });

  it("goes to the collector's address, with its credentials", () => {
    expect(received.requests[0]).toMatchObject({ url: "/v1/traces", key: "of the collector" });
  });
});

describe("spans", () => {
  const request = { method: "GET", route: "/x", headers: {}, requestId: "1", scheme: "http" };

  it("that have not been sent when the server stops are sent then", async () => {
    const other = await collector();
    onTestFinished(other.close);
    const config = { endpoint: other.endpoint, headers: {}, service: "s", ratio: 1 };
    const tracing = await openTracing(config, "1", createLogger("silent"));
    tracing?.request(request).end();
    expect(other.spans).toEqual([]);
    await tracing?.close();
    expect(other.spans).toMatchObject([{ name: "GET /x" }]);
  });

  it("of a job have a trace of their own, with its statements", async () => {
    const other = await collector();
    onTestFinished(other.close);
    const config = { endpoint: other.endpoint, headers: {}, service: "s", ratio: 1 };
    const tracing = await openTracing(config, "1", createLogger("silent"));
    await tracing?.task("job files.clean-up", { "insulae.job.id": "j1" }, async () => {
      await Promise.resolve();
      tracing.statement("db", "delete from files where id = $1")?.end();
    });
    await expect(
      tracing?.task("job fails", {}, () => Promise.reject(new TypeError("secret"))),
    ).rejects.toThrow("secret");
    expect(tracing?.statement("db", "select 1")).toBeUndefined();
    await tracing?.close();
    const job = other.spans.find(({ name }) => name === "job files.clean-up");
    expect(job).toMatchObject({ kind: 5, attributes: { "insulae.job.id": "j1" } });
    expect(other.spans.find(({ name }) => name === "DELETE")).toMatchObject({
      traceId: job?.traceId,
      parentSpanId: job?.spanId,
    });
    expect(other.spans.find(({ name }) => name === "job fails")).toMatchObject({
      status: 2,
      attributes: { "error.type": "TypeError" },
    });
    expect(other.requests.map(({ text }) => text).join()).not.toContain("secret");
  });

  it("whose collector is away are given up, and keep nobody from stopping", async () => {
    const lines: string[] = [];
    const log = createLoggerTo("warn", (line) => lines.push(line));
    const config = { endpoint: "http://127.0.0.1:1", headers: {}, service: "s", ratio: 1 };
    const tracing = await openTracing(config, "1", log);
    tracing?.request(request).end();
    await tracing?.close();
    await expect.poll(() => lines.join(), { timeout: 5_000 }).toContain("Traces can't be sent");
  });
});

it.each([
  ["select * from t where id = $1 limit 21", "select * from t where id = $1 limit ?"],
  ["select 'it''s', E'a', t1.x2 from t1", "select ?, ?, t1.x2 from t1"],
  ["select $q$secret$q$, $$more$$", "select ?, ?"],
  ['select -1.5e3,\n  "a1"', 'select -?, "a1"'],
  ["select 'unfinished", "select ?"],
])("a statement's text has no values: %s", (sql, text) => {
  expect(withoutValues(sql)).toBe(text);
});
