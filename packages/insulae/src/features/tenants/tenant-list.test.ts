/** How platform administrators find a tenant among many. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listTenants } from "../../kernel/tenancy/tenant-list.ts";
import { countRowsRead } from "../../testing/rows-read.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";

let app: TestApp;
let token: string;
let client: pg.Client;

const many = 5_000;

beforeAll(async () => {
  app = await createTestApp({ config: { baseDomain: "insulae.example" } });
  const payload = { email: "root@example.com", password: "a-Fine-passphrase-7" };
  await app.ensureAdmin(payload);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  token = reply.json().access_token;
  const make = (key: string, more: object = {}) => app.tenants.create({ key, name: key, ...more });
  await make("acme", { name: "Zebra Ltd", plan: "gold", hosts: ["shop.acme.example"] });
  await make("acme_two", { name: "Äpfel 100%", isolation: "schema" });
  await make("globex", { name: "ACMEnia", isolation: "database" });
  await app.tenants.suspend((await make("initech", { name: "Initech" })).id);
  await app.tenants.delete((await make("acme_gone", { name: "Gone" })).id);
  client = new pg.Client(app.config.databaseUrl);
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await app?.close();
});

async function list(query: string) {
  const reply = await app.inject({
    method: "GET",
    url: `/api/v1/tenants?${query}`,
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: reply.statusCode, body: reply.json() };
}
const keys = async (query: string): Promise<string[]> => {
  const { status, body } = await list(query);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.items.map(({ key }: { key: string }) => key);
};

describe("the list of tenants", () => {
  test.each([
    ["", ["initech", "globex", "acme_two", "acme"]],
    ["order=created", ["initech", "globex", "acme_two", "acme"]],
    ["order=key", ["acme", "acme_two", "globex", "initech"]],
    ["order=name", ["globex", "initech", "acme", "acme_two"]],
    ["q=acme&order=key", ["acme", "acme_two", "globex"]],
    ["q=%20ACME_T", ["acme_two"]],
    ["q=zebra%20l", ["acme"]],
    ["q=SHOP.acme", ["acme"]],
    ["q=%C3%A4pfel%20100%25", ["acme_two"]],
    ["q=%25", []],
    ["q=_cme", []],
    ["q=nobody", []],
    ["status=suspended", ["initech"]],
    ["status=active&order=key", ["acme", "acme_two", "globex"]],
    ["status=deleted", ["acme_gone"]],
    ["status=deleted&q=gone", ["acme_gone"]],
    ["status=deleted&q=globex", []],
    ["plan=gold", ["acme"]],
    ["isolation=pool&order=key", ["acme", "initech"]],
    ["isolation=database", ["globex"]],
    ["server=main&q=acme_&order=key", ["acme_two"]],
  ])("for %j", async (query, expected) => {
    expect(await keys(query)).toEqual(expected);
    const { body } = await list(`${query}&total=true`);
    expect(body.total).toBe(expected.length);
  });

  test("finds a tenant by its id", async () => {
    const { id } = await app.tenants.get("globex");
    expect(await keys(`q=${id}`)).toEqual(["globex"]);
  });

  test("says when a deleted tenant's rows are erased, and of others nothing", async () => {
    const [gone] = (await list("status=deleted")).body.items;
    expect(gone).toMatchObject({ status: "deleted", deleted_at: expect.any(String) });
    expect(Date.parse(gone.erase_at)).toBeGreaterThan(Date.parse(gone.deleted_at));
    expect((await list("q=globex")).body.items[0]).not.toHaveProperty("erase_at");
  });

  test.each(["created", "name", "key"])("comes in pages by %s", async (order) => {
    const found: string[] = [];
    for (let cursor = ""; ; ) {
      const { body } = await list(`order=${order}&limit=1${cursor}`);
      found.push(...body.items.map(({ key }: { key: string }) => key));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    expect(found).toEqual(await keys(`order=${order}`));
  });

  test("refuses another order's cursor, an unknown server and an empty search", async () => {
    const { next_cursor } = (await list("order=name&limit=1")).body;
    const other = await list(`order=key&cursor=${next_cursor}`);
    expect([other.status, other.body.code]).toEqual([400, "invalid_cursor"]);
    expect((await list("server=nowhere")).body.code).toBe("server_not_found");
    expect((await list("q=%20")).status).toBe(400);
  });

  test("reads a few rows of many tenants, in each order, filtered and searched", async () => {
    const { id: placement } = (await app.tenants.get("acme")).placement;
    await client.query(
      `insert into control.tenants (key, slug, name, status, placement_id, deleted_at, erase_after)
       select 'many-' || n, 'many-' || n, 'Many ' || n, s, $1,
         case s when 'deleted' then now() end, case s when 'deleted' then now() + '1 day' end
       from generate_series(1, ${many}) n, unnest('{active,deleted}'::text[]) s
       where s = 'active' or n <= 2000`,
      [placement],
    );
    await client.query(
      `insert into control.hosts (hostname, tenant_id)
       select 'host-' || number || '.example', id from control.tenants where key like 'many-%'
         and status = 'active'`,
    );
    await client.query("vacuum analyze control.tenants, control.hosts");
    const { db, rowsReadBy } = countRowsRead(client);
    const { id } = await app.tenants.get("globex");
    const read = async (filter: object) =>
      rowsReadBy(() => listTenants(db, { limit: 26, after: id, ...filter }));
    for (const order of ["created", "name", "key"] as const) {
      expect(await read({ order }), order).toBeLessThan(400);
      expect(await read({ order, status: "deleted" }), order).toBeLessThan(400);
      expect(await read({ order, search: "many-4711" }), order).toBeLessThan(100);
      expect(await read({ order, search: "host-47" }), order).toBeLessThan(1_000);
      // At most 1,000 of each of key, name and host.
      expect(await read({ order, search: "many", after: undefined }), order).toBeLessThan(4_000);
      expect(await read({ order, search: "nothing at all" }), order).toBeLessThan(100);
      expect(await read({ order, plan: "gold" }), order).toBeLessThan(100);
    }
    expect(await keys("q=many-4711")).toEqual(["many-4711"]);
    expect(await keys("q=many+4999")).toEqual(["many-4999"]);
    // A short search has too many matches to look at all of them.
    const { total } = (await list("q=m&status=active&total=true")).body;
    expect(total).toBeGreaterThanOrEqual(1_000);
    expect(total).toBeLessThanOrEqual(2_000);
  });
});
