import { sql } from "kysely";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { App } from "../../../app/app-api.ts";
import { standardFeatures } from "../../../features/index.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../../testing/fixtures.ts";
import { createTestApp } from "../../../testing/index.ts";
import { feature } from "../../feature/feature.ts";
import { idParams } from "../../feature/fields.ts";
import { isolations } from "../../model/tenant.ts";

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A handler that ignores the request's condition. */
const careless = feature("careless", {
  routes: (r) => [
    r.get(
      "/careless/:id",
      {
        permission: "authenticated",
        summary: "Shows it",
        params: idParams,
        response: Type.Object({ id: Type.String() }),
        etag: true,
      },
      ({ params }) => params,
    ),
    r.delete(
      "/careless/:id",
      {
        permission: "authenticated",
        audit: { none: "a test" },
        summary: "Deletes it",
        params: idParams,
        response: { 204: null },
      },
      () => undefined,
    ),
  ],
});

let app: App;
beforeAll(async () => {
  app = await createTestApp({ features: [...standardFeatures, careless] });
});
afterAll(() => app?.close());

const as = async (
  { token }: Pick<TestMember, "token">,
  method: Method,
  path: string,
  { body, headers }: { body?: object; headers?: Record<string, string> } = {},
) => {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body && { payload: body }),
  });
  const { statusCode: status, body: text } = reply;
  // Sent back unchanged.
  const etag = String(reply.headers.etag);
  const json = text === "" ? undefined : JSON.parse(text);
  return { status, etag, text, headers: reply.headers, body: json, code: json?.code };
};

const createOwner = async (isolation?: (typeof isolations)[number]): Promise<TestMember> => {
  const { tenant } = await createMember(app, isolation);
  return addMember(app, tenant, "owner");
};

const add = async (member: TestMember, path: string, body: object): Promise<string> => {
  const added = await as(member, "POST", path, { body });
  expect(added.status, added.text).toBe(201);
  return `${path}/${added.body.id}`;
};

interface Resource {
  readonly name: string;
  readonly make: (owner: TestMember) => Promise<string>;
  readonly change: "PATCH" | "PUT";
  readonly bodies: readonly [object, object];
  /** Only platform administrators delete tenants: see tenants.test.ts. */
  readonly lasts?: boolean;
}

const resources: readonly Resource[] = [
  {
    name: "contact",
    make: (owner) => add(owner, "/contacts", { name: "Ada" }),
    change: "PATCH",
    bodies: [{ name: "Grace" }, { notes: "Admiral" }],
  },
  {
    name: "product",
    make: (owner) => add(owner, "/products", { name: "Pen", price: "1.50" }),
    change: "PATCH",
    bodies: [{ price: "2.00" }, { price: "3.00" }],
  },
  {
    name: "order",
    make: async (owner) => {
      const product = await add(owner, "/products", { name: "Pen", price: "1.50" });
      const lines = [{ product_id: product.slice("/products/".length), quantity: 2 }];
      return add(owner, "/orders", { lines });
    },
    change: "PATCH",
    bodies: [{ status: "placed" }, { status: "cancelled" }],
  },
  {
    name: "document",
    make: (owner) => add(owner, "/documents", { title: "Plan", content: "line\n\u00e9" }),
    change: "PATCH",
    bodies: [{ content: "A" }, { content: "B" }],
  },
  {
    name: "user",
    make: (owner) => add(owner, "/users", { email: `${crypto.randomUUID()}@example.com` }),
    change: "PATCH",
    bodies: [{ first_name: "Ada" }, { role: "manager" }],
  },
  {
    name: "role",
    make: (owner) => add(owner, "/roles", { name: "Clerk", permissions: ["contacts:read"] }),
    change: "PUT",
    bodies: [{ permissions: [] }, { description: "Files things" }],
  },
  {
    name: "tenant",
    make: async ({ tenant }) => `/tenants/${tenant.key}`,
    change: "PATCH",
    bodies: [{ name: "Acme" }, { settings: { registration: "closed" } }],
    lasts: true,
  },
];

describe.each(resources)("a $name", ({ make, change, bodies, lasts }) => {
  test("has a tag until it is changed, and can be changed only by clients that know the tag", async () => {
    const owner = await createOwner();
    const path = await make(owner);
    const first = await as(owner, "GET", path);
    expect(first.etag).toMatch(/^"[\w-]{22}"$/);
    expect((await as(owner, "GET", path)).etag).toBe(first.etag);

    const known = { "if-none-match": first.etag };
    const unchanged = await as(owner, "GET", path, { headers: known });
    expect(unchanged).toMatchObject({ status: 304, text: "", etag: first.etag });
    expect(unchanged.headers["cache-control"]).toBe("no-store");
    expect(unchanged.headers["content-type"]).toBeUndefined();

    const seen = { "if-match": first.etag };
    const changed = await as(owner, change, path, { body: bodies[0], headers: seen });
    expect(changed.status, changed.text).toBe(200);
    const second = await as(owner, "GET", path, { headers: known });
    expect(second.status).toBe(200);
    expect(second.etag).not.toBe(first.etag);
    expect([changed.etag, changed.text]).toEqual([second.etag, second.text]);

    const late = await as(owner, change, path, { body: bodies[1], headers: seen });
    expect(late).toMatchObject({ status: 412, code: "precondition_failed" });
    if (!lasts) expect((await as(owner, "DELETE", path, { headers: seen })).status).toBe(412);
    expect((await as(owner, "GET", path)).text).toBe(second.text);

    const unconditional = await as(owner, change, path, { body: bodies[1] });
    expect(unconditional.status, unconditional.text).toBe(200);
    if (lasts) return;
    const now = { "if-match": unconditional.etag };
    expect((await as(owner, "DELETE", path, { headers: now })).status).toBe(204);
    expect((await as(owner, "DELETE", path, { headers: now })).status).toBe(404);
  });

  test("is changed once by twenty concurrent requests with the same tag", async () => {
    const owner = await createOwner();
    const path = await make(owner);
    const headers = { "if-match": (await as(owner, "GET", path)).etag };
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        as(owner, change, path, { body: bodies[i % 2] ?? {}, headers }),
      ),
    );
    const statuses = replies.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
    const winner = replies.find(({ status }) => status === 200);
    expect((await as(owner, "GET", path)).text).toBe(winner?.text);
  });
});

test("a tenant that is being changed is read afterwards", async () => {
  const owner = await createOwner();
  const path = `/tenants/${owner.tenant.key}`;
  const headers = { "if-match": (await as(owner, "GET", path)).etag };
  const reply = await app.withPlatform("a change that takes its time", ({ control }) =>
    control.transaction().execute(async (tx) => {
      const change = tx.updateTable("control.tenants").set({ name: "First" });
      await change.where("id", "=", owner.tenant.id).execute();
      const second = as(owner, "PATCH", path, { body: { name: "Second" }, headers });
      await vi.waitFor(async () => {
        const waiting = await sql`
          select from pg_locks
          where not granted and pid <> pg_backend_pid()
            and pg_blocking_pids(pid) @> array[pg_backend_pid()]`.execute(tx);
        expect(waiting.rows).toHaveLength(1);
      });
      return { second };
    }),
  );
  expect((await reply.second).status).toBe(412);
  expect((await as(owner, "GET", path)).body.name).not.toBe("Second");
});

test("a tenant is deleted only if the administrator has seen its current state", async () => {
  const { tenant } = await createMember(app);
  const person = { email: "admin@example.com", password: "a-Fine-passphrase-7" };
  await app.inject({ method: "POST", url: "/api/v1/auth/register", payload: person });
  await app.withPlatform("the first administrator, for the test", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("email", "=", person.email)
      .execute(),
  );
  const login = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload: person });
  const admin = { token: login.json().access_token };
  const path = `/tenants/${tenant.key}`;
  const { etag } = await as(admin, "GET", path);
  const changed = await as(admin, "PATCH", path, { body: { plan: "premium", name: "Acme" } });
  const late = await as(admin, "DELETE", path, { headers: { "if-match": etag } });
  expect(late.code).toBe("precondition_failed");
  const headers = { "if-match": changed.etag };
  expect((await as(admin, "DELETE", path, { headers })).status).toBe(204);
});

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("of twenty clients with the same tag of a contact, one changes it", async () => {
    const owner = await createOwner(isolation);
    const path = await add(owner, "/contacts", { name: "Ada" });
    const headers = { "if-match": (await as(owner, "GET", path)).etag };
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        as(owner, "PATCH", path, { body: { name: `Ada ${i}` }, headers }),
      ),
    );
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 412)).toHaveLength(19);
  });

  test("a tag of another tenant never matches", async () => {
    const [a, b] = await Promise.all([createOwner(isolation), createOwner(isolation)]);
    const [ofA, ofB] = await Promise.all([
      add(a, "/contacts", { name: "Ada" }),
      add(b, "/contacts", { name: "Ada" }),
    ]);
    const { etag } = await as(a, "GET", ofA);
    const headers = { "if-match": etag };
    const body = { name: "Taken over" };
    for (const method of ["PATCH", "DELETE"] as const) {
      const payload = method === "PATCH" ? { body } : {};
      expect((await as(b, method, ofB, { ...payload, headers })).status).toBe(412);
      for (const match of [headers, { "if-match": "*" }, { "if-none-match": etag }]) {
        const foreign = await as(b, method, ofA, { ...payload, headers: match });
        const unknown = await as(b, method, `/contacts/${unknownId}`, {
          ...payload,
          headers: match,
        });
        const [one, other] = [foreign, unknown].map(({ text }) => text.replace(/[\w-]{36}/g, ""));
        expect([foreign.status, one]).toEqual([404, other]);
      }
    }
    const peek = await as(b, "GET", ofA, { headers: { "if-none-match": etag } });
    expect(peek.status).toBe(404);
    expect((await as(a, "GET", ofA)).etag).toBe(etag);
  });
});

describe("the conditions of a request", () => {
  test("are stars, lists and weak tags as in RFC 9110", async () => {
    const owner = await createOwner();
    const path = await add(owner, "/contacts", { name: "Ada" });
    const { etag } = await as(owner, "GET", path);
    const read = async (headers: Record<string, string>) =>
      (await as(owner, "GET", path, { headers })).status;
    expect(await read({ "if-none-match": `"other", W/${etag}` })).toBe(304);
    expect(await read({ "if-none-match": "*" })).toBe(304);
    expect(await read({ "if-none-match": '"other"' })).toBe(200);
    expect(await read({ "if-match": '"other"' })).toBe(412);
    expect(await read({ "if-match": etag })).toBe(200);
    const head = await as(owner, "HEAD", path, { headers: { "if-none-match": etag } });
    expect([head.status, head.etag]).toEqual([304, etag]);

    const write = async (headers: Record<string, string>) =>
      (await as(owner, "PATCH", path, { headers, body: { name: "Ada" } })).status;
    expect(await write({ "if-match": `W/${etag}` })).toBe(412);
    expect(await write({ "if-none-match": "*" })).toBe(412);
    expect(await write({ "if-match": `"other", ${etag}` })).toBe(200);
    expect(await write({ "if-match": "*" })).toBe(200);
    expect(await write({ "if-match": etag })).toBe(412);
  });

  test("with malformed tags are 400 without effect", async () => {
    const owner = await createOwner();
    const path = await add(owner, "/contacts", { name: "Ada" });
    const headers = { "if-match": "not-in-quotes" };
    for (const [method, body] of [["GET"], ["PATCH", { name: "Grace" }], ["DELETE"]] as const) {
      const reply = await as(owner, method, path, { headers, ...(body && { body }) });
      expect([reply.status, reply.code]).toEqual([400, "invalid_entity_tag"]);
    }
    expect((await as(owner, "GET", path)).body.name).toBe("Ada");
  });

  test("are evaluated after other refusals", async () => {
    const owner = await createOwner();
    const headers = { "if-match": '"any"' };
    const gone = await as(owner, "DELETE", `/contacts/${unknownId}`, { headers });
    expect(gone.code).toBe("contact_not_found");
    const path = await add(owner, "/contacts", { name: "Ada" });
    const wrong = await as(owner, "PATCH", path, { headers, body: { name: 1 } });
    expect(wrong.code).toBe("validation_failed");
  });

  test("make a handler fail that skipped the check", async () => {
    const owner = await createOwner();
    const { id } = (await as(owner, "POST", "/contacts", { body: { name: "Ada" } })).body;
    const headers = { "if-match": '"any"' };
    expect((await as(owner, "DELETE", `/careless/${id}`, { headers })).status).toBe(500);
    expect((await as(owner, "DELETE", `/careless/${id}`)).status).toBe(204);
  });

  test("are documented in the API's description", async () => {
    const document = (await app.inject("/api-docs/openapi.json")).json();
    const { get, patch, delete: remove } = document.paths["/api/v1/contacts/{id}"];
    const names = ({ parameters }: { parameters: { name: string }[] }) =>
      parameters.map(({ name }) => name);
    expect(names(get)).toContain("If-None-Match");
    expect(Object.keys(get.responses)).toEqual(expect.arrayContaining(["200", "304", "412"]));
    expect(get.responses[200].headers.ETag).toBeDefined();
    expect(names(patch)).toContain("If-Match");
    expect(patch.responses[200].headers.ETag).toBeDefined();
    expect(patch.responses[412].description).toContain("precondition_failed");
    expect(remove.responses[400].description).toContain("invalid_entity_tag");
    expect(names(document.paths["/api/v1/contacts"].post)).not.toContain("If-Match");
  });
});
