import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, clientOf, newTenantWithUser } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer({
    dataDir: folder.path,
    // These tests register more people than one client may in a minute.
    env: { RATE_LIMIT_CREDENTIALS: "0", RATE_LIMIT_ANONYMOUS: "0" },
  });
  client = clientOf(server.url);
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

describe.each(["pool", "schema", "database"] as const)(
  "a tenant with isolation %s",
  (isolation) => {
    test("manages contacts, products and orders that another tenant can't see", async () => {
      const a = await newTenantWithUser(client, { key: `a-${isolation}`, isolation });
      const b = await newTenantWithUser(client, { key: `b-${isolation}`, isolation: "pool" });

      const contact = await client("POST", "/api/v1/contacts", {
        token: a.token,
        body: { name: "Grace Hopper", email: "grace@example.com", phone: "+1234567890" },
      });
      expect(contact.status).toBe(201);
      const product = await client("POST", "/api/v1/products", {
        token: a.token,
        body: { name: "Lamp", sku: "L-1", price: "19.90" },
      });
      expect(product.status).toBe(201);
      const order = await client("POST", "/api/v1/orders", {
        token: a.token,
        body: { lines: [{ product_id: product.body.id, quantity: 3 }] },
      });
      expect(order.status).toBe(201);
      expect(order.body.total).toBe("59.70");

      const unknown = "01900000-0000-7000-8000-000000000000";
      for (const [path, id] of [
        ["contacts", contact.body.id],
        ["products", product.body.id],
        ["orders", order.body.id],
      ]) {
        const mine = await client("GET", `/api/v1/${path}`, { token: a.token });
        expect(mine.body.items.map((item: { id: string }) => item.id)).toEqual([id]);
        const theirs = await client("GET", `/api/v1/${path}`, { token: b.token });
        expect(theirs.body.items).toEqual([]);
        for (const method of ["GET", "DELETE"]) {
          const foreign = await client(method, `/api/v1/${path}/${id}`, { token: b.token });
          const absent = await client(method, `/api/v1/${path}/${unknown}`, { token: b.token });
          expect(foreign.status).toBe(404);
          expect({ ...foreign.body, request_id: "" }).toEqual({ ...absent.body, request_id: "" });
        }
      }
      const stolen = await client("POST", "/api/v1/orders", {
        token: b.token,
        body: { lines: [{ product_id: product.body.id, quantity: 1 }] },
      });
      expect(stolen.status).toBeGreaterThanOrEqual(400);

      const elsewhere = await client("GET", "/api/v1/contacts", { token: a.token, tenant: b.key });
      expect(elsewhere.status).toBe(403);
      expect(elsewhere.body.code).toBe("tenant_access_denied");
    });
  },
);

test("a tenant is reached by its subdomain", async () => {
  const tenant = await newTenantWithUser(client, { key: "by_host", isolation: "pool" });
  const port = new URL(server.url).port;
  const login = await client("POST", "/api/v1/auth/login", {
    headers: { host: `by-host.localhost:${port}` },
    body: { email: "ada@example.com", password: "a-Fine-passphrase-7" },
  });
  // `fetch` sets Host itself; then use the header X-Tenant.
  if (login.status === 200) expect(login.body.tenant.id).toBe(tenant.id);
  const me = await client("GET", "/api/v1/auth/me", { token: tenant.token, tenant: "by-host" });
  expect(me.status).toBe(200);
});

test("the API reference is served from the package and includes every route", async () => {
  const { body } = await client("GET", "/api-docs/openapi.json");
  expect(body.openapi).toMatch(/^3\.1/);
  expect(Object.keys(body.paths)).toEqual(
    expect.arrayContaining(["/api/v1/contacts", "/api/v1/orders/{id}", "/api/v1/auth/login"]),
  );
  for (const path of ["/swagger-ui", "/redoc"]) {
    const page = await client("GET", path);
    expect(page.status).toBe(200);
    expect(page.body).not.toMatch(/https?:\/\/(?!localhost)[^"' ]*\.(js|css)/);
  }
});
