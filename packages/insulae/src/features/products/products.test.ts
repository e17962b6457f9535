import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import { createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let a: TestMember;
let b: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  [a, b] = await Promise.all([createMember(app), createMember(app)]);
});

afterAll(() => app?.close());

const lamp = { name: "Lamp", price: "19.90" };

test("a product is added, shown, changed and deleted", async () => {
  const added = await a.call("POST", "/products", lamp);
  expect(added.status).toBe(201);
  expect(added.body).toEqual({
    id: expect.any(String),
    ...lamp,
    sku: null,
    description: null,
    currency: "EUR",
    is_active: true,
    created_at: expect.any(String),
    updated_at: expect.any(String),
  });
  const path = `/products/${added.body.id}`;
  expect((await a.call("GET", path)).body).toEqual(added.body);
  const changes = { price: "0.05", currency: "CHF", is_active: false };
  expect((await a.call("PATCH", path, changes)).body).toMatchObject({ name: "Lamp", ...changes });
  expect((await a.call("DELETE", path)).status).toBe(204);
  expect((await a.call("GET", path)).body).toMatchObject({
    status: 404,
    code: "product_not_found",
  });
});

test.each([
  ["0", "0.00"],
  ["7", "7.00"],
  ["0.1", "0.10"],
  ["1234567890.99", "1234567890.99"],
  ["9007199254.74", "9007199254.74"],
])("the price %s comes back as %s, exactly", async (price, stored) => {
  const { body } = await a.call("POST", "/products", { name: "Exact", price });
  expect(body.price).toBe(stored);
});

test.each([
  [19.9],
  ["-1"],
  ["1.999"],
  ["12345678901"],
  ["1e3"],
  ["NaN"],
  ["Infinity"],
  ["01"],
  ["1,50"],
  [" 1"],
  ["1."],
  [".5"],
  [""],
  ["1\n"],
  [null],
])("the price %j is refused", async (price) => {
  const reply = await a.call("POST", "/products", { name: "Refused", price });
  expect(reply.status, reply.text).toBe(400);
});

test.each([
  { price: "1" },
  { ...lamp, name: " " },
  { ...lamp, currency: "eur" },
  { ...lamp, currency: "EURO" },
  { ...lamp, is_active: "yes" },
  { ...lamp, tenant_id: unknownId },
])("%j is refused", async (product) => {
  expect((await a.call("POST", "/products", product)).status).toBe(400);
});

describe("an SKU", () => {
  test("is one product's within the tenant, when it is added and when it is changed", async () => {
    expect((await a.call("POST", "/products", { ...lamp, sku: "L-1" })).status).toBe(201);
    const other = await a.call("POST", "/products", { ...lamp, sku: "L-2" });
    const taken = { status: 409, code: "product_sku_taken" };
    expect((await a.call("POST", "/products", { ...lamp, sku: "L-1" })).body).toMatchObject(taken);
    const change = await a.call("PATCH", `/products/${other.body.id}`, { sku: "L-1" });
    expect(change.body).toMatchObject(taken);
    expect(change.text).not.toMatch(/L-1|products_sku_key|tenant_id/);
  });

  test("a SKU that looks like another's is taken, whatever blanks or composed letters it has", async () => {
    const { body } = await a.call("POST", "/products", { ...lamp, sku: " AbC-\u00e9 " });
    expect(body.sku).toBe("AbC-é");
    const other = await a.call("POST", "/products", { ...lamp, sku: "Another" });
    for (const sku of ["AbC-\u00e9", "AbC-e\u0301", "\u00a0AbC-\u00e9\t".trimEnd()]) {
      const added = await a.call("POST", "/products", { ...lamp, sku });
      expect([added.status, added.body.code]).toEqual([409, "product_sku_taken"]);
      const changed = await a.call("PATCH", `/products/${other.body.id}`, { sku });
      expect([changed.status, changed.body.code]).toEqual([409, "product_sku_taken"]);
    }
  });

  test("that only another tenant has is free", async () => {
    await a.call("POST", "/products", { ...lamp, sku: "SHARED" });
    expect((await b.call("POST", "/products", { ...lamp, sku: "SHARED" })).status).toBe(201);
  });
});

test("products are listed by what is asked for", async () => {
  const { call } = await createMember(app);
  for (const product of [
    { name: "Table", price: "1", sku: "T-100" },
    { name: "chair", price: "2", is_active: false },
    { name: "Lamp", price: "3", description: "for the table" },
  ]) {
    await call("POST", "/products", product);
  }
  const names = async (query: string): Promise<string[]> =>
    (await call("GET", `/products${query}`)).body.items.map(({ name }: { name: string }) => name);
  expect(await names("")).toEqual(["Lamp", "chair", "Table"]);
  expect(await names("?sort=name")).toEqual(["chair", "Lamp", "Table"]);
  expect(await names("?is_active=true")).toEqual(["Lamp", "Table"]);
  expect(await names("?is_active=false")).toEqual(["chair"]);
  expect(await names("?q=TABLE")).toEqual(["Lamp", "Table"]);
  expect(await names("?q=t-1")).toEqual(["Table"]);
  expect((await call("GET", "/products?is_active=true&total=true")).body.total).toBe(2);
});

test.each(isolations)(
  "with isolation %s, tenant B cannot read, change, delete, list, search or count A's products",
  async (isolation) => {
    const [mine, other] = await Promise.all([
      createMember(app, isolation),
      createMember(app, isolation),
    ]);
    const { id } = (await mine.call("POST", "/products", { ...lamp, sku: "SECRET" })).body;
    for (const [method, body] of [
      ["GET", undefined],
      ["PATCH", { price: "0" }],
      ["DELETE", undefined],
    ] as const) {
      const foreign = await other.call(method, `/products/${id}`, body);
      expect(foreign.status).toBe(404);
      expect(foreign).toEqual(await other.call(method, `/products/${unknownId}`, body));
    }
    for (const query of ["total=true", "total=true&q=SECRET", "total=true&sort=name"]) {
      const { body } = await other.call("GET", `/products?${query}`);
      expect(body).toEqual({ items: [], next_cursor: null, total: 0 });
    }
    expect((await mine.call("GET", `/products/${id}`)).body.price).toBe("19.90");
  },
);
