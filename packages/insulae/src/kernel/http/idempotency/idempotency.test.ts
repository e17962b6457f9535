import { randomUUID } from "node:crypto";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { coreFeatures, standardFeatures } from "../../../features/index.ts";
import { type App, feature, secretText } from "../../../index.ts";
import { addMember, createMember, type TestMember } from "../../../testing/fixtures.ts";
import { createTestApp } from "../../../testing/test-app.ts";
import { writeOutcomeUnknown } from "../../engine/errors.ts";
import { defineError } from "../../lib/errors.ts";
import { routePath } from "../api/declarations.ts";
import { takesIdempotencyKey } from "../api/idempotency-key.ts";

/** What the handler of `/things` does next, set by each test. */
let next: () => unknown = () => undefined;
let runs = 0;

const Thing = Type.Object({ n: Type.Integer() });
const things = feature("things", {
  permissions: { "things:write": "Make things" },
  routes: (r) => [
    r.post(
      "/things",
      {
        permission: "things:write",
        summary: "Makes a thing",
        audit: "thing.created",
        body: Type.Object({ name: Type.Optional(Type.String({ maxLength: 300_000 })) }),
        response: { 201: Type.Object({ n: Type.Integer(), name: Type.Optional(Type.String()) }) },
        bodyLimit: 400_000,
      },
      async ({ header, body }) => {
        runs += 1;
        const n = runs;
        header("location", `/things/${n}`);
        await next();
        return { n, ...body };
      },
    ),
    r.post(
      "/secrets",
      {
        permission: "things:write",
        summary: "Makes a secret",
        audit: "secret.created",
        response: { 201: Type.Object({ ...Thing.properties, secret: secretText("Shown once.") }) },
      },
      () => {
        runs += 1;
        return { n: runs, secret: "s" };
      },
    ),
  ],
});

let app: App;
let acme: TestMember;
let colleague: TestMember;
let other: TestMember;

beforeAll(async () => {
  app = await createTestApp({ features: [things, ...standardFeatures] });
  acme = await createMember(app);
  colleague = await addMember(app, acme.tenant);
  other = await createMember(app, "database");
});
afterAll(() => app.close());

const send = (by: TestMember, key: string | undefined, body: object = {}, path = "/things") =>
  app.inject({
    method: "POST",
    url: `/api/v1${path}`,
    headers: {
      authorization: `Bearer ${by.token}`,
      ...(key !== undefined && { "idempotency-key": key }),
    },
    payload: body,
  });

/** As if a minute had passed since the claim. */
const endClaims = ({ tenant }: TestMember) =>
  app.withTenant(tenant, ({ db }) =>
    db.query("update idempotency_keys set claimed_until = now() - interval '1 second'"),
  );

describe("a request with an Idempotency-Key", () => {
  it("that is retried gets the same response, and creates nothing", async () => {
    const key = randomUUID();
    const first = await send(acme, key, { name: "a" });
    const before = runs;
    const again = await send(acme, key, { name: "a" });
    expect(runs).toBe(before);
    expect(first.statusCode).toBe(201);
    expect(first.headers["idempotent-replayed"]).toBeUndefined();
    expect([again.statusCode, again.body]).toEqual([201, first.body]);
    expect(again.headers).toMatchObject({
      "idempotent-replayed": "true",
      location: first.headers.location,
      "content-type": first.headers["content-type"],
    });
    expect((await send(acme, `"${key}"`, { name: "a" })).body).toBe(first.body);
  });

  it("with another body is refused", async () => {
    const key = randomUUID();
    await send(acme, key, { name: "a" });
    const other = await send(acme, key, { name: "b" });
    expect([other.statusCode, other.json().code]).toEqual([422, "idempotency_key_reused"]);
  });

  it("creates one resource, however many are sent concurrently", async () => {
    const key = randomUUID();
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let begun = () => {};
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    next = () => {
      begun();
      return finished;
    };
    const before = runs;
    const first = send(acme, key);
    await running;
    const others = await Promise.all(Array.from({ length: 10 }, () => send(acme, key)));
    finish();
    next = () => undefined;
    expect((await first).statusCode).toBe(201);
    expect(others.map((reply) => reply.statusCode)).toEqual(others.map(() => 409));
    expect(others[0]?.headers["retry-after"]).toBe("1");
    expect(runs).toBe(before + 1);
    expect((await send(acme, key)).headers["idempotent-replayed"]).toBe("true");
  });

  it("is independent of the same key of another tenant or user", async () => {
    const key = randomUUID();
    const replies = [];
    for (const by of [acme, colleague, other]) replies.push(await send(by, key, { name: "a" }));
    expect(replies.map((reply) => reply.statusCode)).toEqual([201, 201, 201]);
    expect(new Set(replies.map((reply) => reply.body)).size).toBe(3);
    expect(replies.some((reply) => reply.headers["idempotent-replayed"])).toBe(false);
  });

  it("that was refused may be retried", async () => {
    const key = randomUUID();
    const refused = defineError("refused", 409, "Not now");
    next = () => {
      throw refused();
    };
    expect((await send(acme, key)).json().code).toBe("refused");
    next = () => undefined;
    expect((await send(acme, key)).statusCode).toBe(201);
  });

  it("whose outcome is unknown does not run again before its claim expires", async () => {
    const key = randomUUID();
    next = () => {
      throw writeOutcomeUnknown();
    };
    expect((await send(acme, key)).statusCode).toBe(503);
    next = () => undefined;
    expect((await send(acme, key)).statusCode).toBe(409);
    await endClaims(acme);
    expect((await send(acme, key, { name: "another" })).statusCode).toBe(422);
    expect((await send(acme, key)).statusCode).toBe(201);
  });

  it("that finishes after its claim was taken over changes nothing", async () => {
    const key = randomUUID();
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let begun = () => {};
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    next = () => {
      begun();
      return finished;
    };
    const late = send(acme, key);
    await running;
    next = () => undefined;
    await endClaims(acme);
    const taken = await send(acme, key);
    finish();
    expect((await late).statusCode).toBe(201);
    expect((await send(acme, key)).body).toBe(taken.body);
  });

  it("whose response is too large to store does not run again either", async () => {
    const key = randomUUID();
    const body = { name: "x".repeat(270_000) };
    expect((await send(acme, key, body)).statusCode).toBe(201);
    const again = await send(acme, key, body);
    expect(again.json().code).toBe("idempotent_answer_too_large");
  });

  it("is forgotten after a day, and deleted by the next request", async () => {
    const key = randomUUID();
    await send(acme, key);
    const count = () =>
      app.withTenant(acme.tenant, async ({ db }) => {
        const [row] = await db.query<{ n: number }>(
          "select count(*)::int as n from idempotency_keys",
        );
        return row?.n;
      });
    await app.withTenant(acme.tenant, ({ db }) =>
      db.query("update idempotency_keys set expires_at = now() - interval '1 second'"),
    );
    const again = await send(acme, key);
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    expect(await count()).toBe(1);
  });

  it.each(["", " ", "a b", "é", "x".repeat(256), '""'])(
    "is refused if the key is %j",
    async (key) => {
      const reply = await app.inject({
        method: "POST",
        url: "/api/v1/things",
        headers: { authorization: `Bearer ${acme.token}`, "idempotency-key": key },
        payload: {},
      });
      expect([reply.statusCode, reply.json().code]).toEqual([400, "invalid_idempotency_key"]);
    },
  );

  it.each([
    ["a secret in the answer", "POST", "/secrets"],
    ["an import", "POST", "/contacts/import"],
    ["an upload", "POST", "/files/upload"],
    ["a change", "PATCH", `/contacts/${randomUUID()}`],
    ["a log-in", "POST", "/auth/login"],
  ] as const)(
    "is refused without effect on unsupported routes: %s",
    async (_name, method, path) => {
      const before = runs;
      const reply = await app.inject({
        method,
        url: `/api/v1${path}`,
        headers: {
          authorization: `Bearer ${acme.token}`,
          "x-tenant": acme.tenant.key,
          "idempotency-key": randomUUID(),
        },
      });
      expect([reply.statusCode, reply.json().code]).toEqual([400, "idempotency_key_not_taken"]);
      expect(runs).toBe(before);
    },
  );
});

describe("the features", () => {
  const routes = [...coreFeatures, ...standardFeatures].flatMap((one) => one.routes);
  const taking = routes.filter(takesIdempotencyKey);

  it("support the header wherever a tenant's resource is created", () => {
    const paths = taking.map(routePath);
    for (const path of ["contacts", "products", "orders", "documents", "users"]) {
      expect(paths).toContain(`/api/v1/${path}`);
    }
    expect(paths.some((path) => path.includes("/auth/"))).toBe(false);
  });

  it("mark secrets in responses", () => {
    const names = taking.flatMap((route) => {
      const text = JSON.stringify(route.options.response);
      return [...text.matchAll(/"([a-z_]+)":\{"type"/g)].map((match) => match[1] ?? "");
    });
    const suspicious = names.filter((name) =>
      /(^|_)(secret|token|password|key|codes?)$/.test(name),
    );
    expect(suspicious).toEqual([]);
  });
});
