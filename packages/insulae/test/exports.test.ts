import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { csvRecords } from "../src/kernel/lib/csv.ts";
import { isolations } from "../src/kernel/model/tenant.ts";
import { addMember, createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app?.close());

const get = async ({ token }: TestMember, path: string) => {
  const reply = await app.inject({
    url: `/api/v1${path}`,
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: reply.statusCode, headers: reply.headers, text: reply.body };
};

const lines = async (member: TestMember, path: string): Promise<{ id: string }[]> => {
  const { status, headers, text } = await get(member, path);
  expect(status, text).toBe(200);
  expect(headers["content-type"]).toBe("application/x-ndjson");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
};

const table = async (text: string): Promise<string[][]> => {
  async function* bytes() {
    yield Buffer.from(text);
  }
  const rows: string[][] = [];
  for await (const { cells } of csvRecords(bytes())) rows.push([...cells]);
  return rows;
};

const lists = ["contacts", "products", "orders", "documents", "users"] as const;

const fill = async ({ call }: TestMember, name: string) => {
  await call("POST", "/contacts", { name: `=${name}`, phone: "+49 30 1", notes: 'a "b"\nc' });
  const product = await call("POST", "/products", { name, price: "9.50", sku: name });
  await call("POST", "/orders", { lines: [{ product_id: product.body.id, quantity: 2 }] });
  await call("POST", "/documents", { title: name, content: "long, and <b>" });
};

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("every list is exported as it is shown, and nothing of another tenant's", async () => {
    const [a, b] = await Promise.all([createMember(app, isolation), createMember(app, isolation)]);
    await fill(a, "mine");
    await fill(b, "theirs");
    for (const list of lists) {
      const rows = await lines(a, `/${list}/export?format=jsonl`);
      expect(rows).toHaveLength(1);
      const shown = (await a.call("GET", `/${list}/${rows[0]?.id}`)).body;
      expect(rows[0]).toEqual(shown);

      const csv = await get(a, `/${list}/export`);
      expect(csv.headers).toMatchObject({
        "content-type": "text/csv; charset=utf-8",
        "content-disposition": `attachment; filename="${list}.csv"`,
        "cache-control": expect.stringContaining("no-store"),
      });
      const [names = [], ...cells] = await table(csv.text);
      const cell = (value: unknown) =>
        value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      expect(cells).toEqual([names.map((name) => cell(shown[name]))]);
      expect(new Set(names)).toEqual(new Set(Object.keys(shown)));
    }
    expect((await get(a, "/contacts/export")).text).toContain(",'=mine,");
  });
});

test("an export has what the filters let through, however many pages that is", async () => {
  const member = await createMember(app);
  await app.withTenant(member.tenant, ({ db }) =>
    db.query(
      `insert into contacts (name, company)
       select 'person ' || n, case when n % 2 = 0 then 'even' end from generate_series(1, 1234) n`,
    ),
  );
  const all = await lines(member, "/contacts/export?format=jsonl");
  expect(new Set(all.map(({ id }) => id)).size).toBe(1234);
  const ids = all.map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted().toReversed());
  expect(await lines(member, "/contacts/export?format=jsonl&q=EVEN")).toHaveLength(617);
  expect(await table((await get(member, "/contacts/export")).text)).toHaveLength(1235);
  expect(await lines(member, "/contacts/export?format=jsonl&q=nobody")).toEqual([]);
  const [header, ...none] = await table((await get(member, "/contacts/export?q=nobody")).text);
  expect([header?.[0], none]).toEqual(["id", []]);
});

test("who may not see a list may not export it; who may is on record", async () => {
  const { tenant } = await createMember(app);
  const viewer = await addMember(app, tenant, "viewer");
  expect((await get(viewer, "/contacts/export")).status).toBe(200);
  expect((await get(viewer, "/users/export")).status).toBe(403);
  expect((await get(viewer, "/contacts/export?format=xml")).status).toBe(400);
  expect((await get(viewer, "/contacts/export?limit=1")).status).toBe(400);
  const admin = await addMember(app, tenant, "admin");
  const { body } = await admin.call("GET", "/audit?action=contacts.exported");
  expect(body.items).toMatchObject([{ actor_id: viewer.userId }]);
  expect(JSON.stringify(await lines(admin, "/users/export?format=jsonl"))).not.toContain("hash");
});

test("a client that is slow, or goes, holds no connection", async () => {
  const few = await createTestApp({ config: { databaseConnections: 5 } });
  try {
    const member = await createMember(few);
    await few.withTenant(member.tenant, ({ db }) =>
      db.query(
        `insert into contacts (name, notes)
         select 'n', repeat('x', 9000) from generate_series(1, 3000)`,
      ),
    );
    const address = await few.listen({ port: 0, host: "127.0.0.1" });
    const headers = { authorization: `Bearer ${member.token}` };
    const open = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const asked = request(new URL("/api/v1/contacts/export", address), { headers }).end();
        const [reply] = await once(asked, "response");
        expect(reply.statusCode).toBe(200);
        await once(reply, "readable");
        return reply;
      }),
    );
    // Eight exports stand still; everything else goes on.
    for (let i = 0; i < 5; i += 1) {
      const reply = await few.inject({ url: "/api/v1/contacts?limit=1", headers });
      expect(reply.statusCode).toBe(200);
      const added = await member.call("POST", "/contacts", { name: "in between" });
      expect(added.status).toBe(201);
    }
    for (const reply of open.slice(1)) reply.destroy();
    let length = 0;
    for await (const chunk of open[0]) length += chunk.length;
    expect(length).toBeGreaterThan(27_000_000);
    await vi.waitFor(async () => {
      const reply = await few.inject({ url: "/api/v1/contacts?limit=1", headers });
      expect(reply.statusCode).toBe(200);
    });
  } finally {
    await few.close();
  }
});
