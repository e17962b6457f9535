import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { orderStatuses, transitions } from "./orders.status.ts";

let app: App;
let a: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  a = await createMember(app);
});

afterAll(() => app?.close());

const addProduct = async ({ call }: TestMember, price: string, more = {}): Promise<string> => {
  const { status, body, text } = await call("POST", "/products", { name: price, price, ...more });
  expect(status, text).toBe(201);
  return body.id;
};

const order = ({ call }: TestMember, product_id: string, quantity = 1) =>
  call("POST", "/orders", { lines: [{ product_id, quantity }] });

const advance = async ({ call }: TestMember, id: string, ...statuses: string[]) => {
  for (const status of statuses) {
    const reply = await call("PATCH", `/orders/${id}`, { status });
    expect(reply.status, reply.text).toBe(200);
  }
};

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("an order is made with exact totals at the products' prices, shown and paid", async () => {
    const member = await createMember(app, isolation);
    const dime = await addProduct(member, "0.10");
    const fifth = await addProduct(member, "0.20");
    const made = await member.call("POST", "/orders", {
      user_id: member.userId,
      lines: [
        { product_id: fifth, quantity: 1 },
        { product_id: dime, quantity: 1 },
        { product_id: fifth, quantity: 10_000 },
      ],
    });
    expect(made.status, made.text).toBe(201);
    expect(made.body).toEqual({
      id: expect.any(String),
      number: 1,
      user_id: member.userId,
      status: "draft",
      currency: "EUR",
      total: "2000.30",
      created_at: expect.any(String),
      updated_at: expect.any(String),
      lines: [
        { product_id: fifth, quantity: 1, unit_price: "0.20", line_total: "0.20" },
        { product_id: dime, quantity: 1, unit_price: "0.10", line_total: "0.10" },
        { product_id: fifth, quantity: 10_000, unit_price: "0.20", line_total: "2000.00" },
      ],
    });
    await member.call("PATCH", `/products/${fifth}`, { price: "99.00" });
    const path = `/orders/${made.body.id}`;
    expect((await member.call("GET", path)).body).toEqual(made.body);
    await advance(member, made.body.id, "placed", "paid");
    const { lines, ...head } = made.body;
    expect((await member.call("GET", "/orders")).body.items).toEqual([
      { ...head, status: "paid", updated_at: expect.any(String) },
    ]);
    expect(lines).toHaveLength(3);
  });

  test("tenant B cannot read, change, delete, list, count or refer to what is A's", async () => {
    const [mine, b] = await Promise.all([
      createMember(app, isolation),
      createMember(app, isolation),
    ]);
    const [theirs, own] = [await addProduct(mine, "1.00"), await addProduct(b, "1.00")];
    const { id } = (await order(mine, theirs)).body;
    for (const [method, body] of [
      ["GET", undefined],
      ["PATCH", { status: "placed" }],
      ["DELETE", undefined],
    ] as const) {
      const foreign = await b.call(method, `/orders/${id}`, body);
      expect(foreign.status).toBe(404);
      expect(foreign).toEqual(await b.call(method, `/orders/${unknownId}`, body));
    }
    for (const query of ["", "&status=draft", `&user_id=${mine.userId}`]) {
      const { body } = await b.call("GET", `/orders?total=true${query}`);
      expect(body).toEqual({ items: [], next_cursor: null, total: 0 });
    }
    const foreignProduct = await order(b, theirs);
    expect(foreignProduct.body).toMatchObject({ status: 422, code: "order_product_not_found" });
    expect(foreignProduct).toEqual(await order(b, unknownId));

    const forUser = (user_id: string) =>
      b.call("POST", "/orders", { user_id, lines: [{ product_id: own, quantity: 1 }] });
    const foreignUser = await forUser(mine.userId);
    expect(foreignUser.body).toMatchObject({ status: 422, code: "order_user_not_found" });
    expect(foreignUser).toEqual(await forUser(unknownId));

    // Nothing came of it, and no number was used up.
    expect((await order(b, own)).body.number).toBe(1);
    expect((await mine.call("GET", `/orders/${id}`)).body.status).toBe("draft");
  });

  test("forty orders at once get the numbers 1 to 40, and totals of the lines they have", async () => {
    const member = await createMember(app, isolation);
    const product = await addProduct(member, "0.10");
    const prices = Array.from({ length: 10 }, (_, i) =>
      member.call("PATCH", `/products/${product}`, { price: i % 2 ? "0.10" : "0.70" }),
    );
    const replies = await Promise.all([
      ...Array.from({ length: 40 }, () =>
        member.call("POST", "/orders", {
          lines: [
            { product_id: product, quantity: 3 },
            { product_id: product, quantity: 4 },
          ],
        }),
      ),
    ]);
    await Promise.all(prices);
    const numbers = replies.map(({ body }) => body.number).toSorted((x, y) => x - y);
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    for (const { body } of replies) {
      expect(["0.70", "4.90"]).toContain(body.total);
      const cents = body.lines.map((line: { line_total: string }) =>
        Math.round(+line.line_total * 100),
      );
      expect(cents[0] + cents[1]).toBe(Math.round(+body.total * 100));
    }
  });
});

test("the largest amounts are exact to the cent", async () => {
  const member = await createMember(app);
  const line = { product_id: await addProduct(member, "9999999999.99"), quantity: 9_999 };
  const lines = Array.from({ length: 99 }, () => line);
  const { body } = await member.call("POST", "/orders", { lines });
  expect(body.lines[98].line_total).toBe("99989999999900.01");
  expect(body.total).toBe("9899009999990100.99");
});

describe("an order that cannot be made", () => {
  test("has a product that is not active, or products of two currencies", async () => {
    const [euro, frank, old] = [
      await addProduct(a, "1"),
      await addProduct(a, "1", { currency: "CHF" }),
      await addProduct(a, "1", { is_active: false }),
    ];
    expect((await order(a, old)).body).toMatchObject({
      status: 422,
      code: "order_product_inactive",
    });
    const lines = [euro, frank].map((product_id) => ({ product_id, quantity: 1 }));
    const mixed = await a.call("POST", "/orders", { lines });
    expect(mixed.body).toMatchObject({ status: 422, code: "order_currencies_differ" });
    expect((await a.call("GET", "/orders?total=true")).body.total).toBe(0);
  });

  const line = { product_id: unknownId, quantity: 1 };
  test.each([
    {},
    { lines: [] },
    { lines: Array.from({ length: 101 }, () => line) },
    { lines: [{ ...line, quantity: 0 }] },
    { lines: [{ ...line, quantity: 10_001 }] },
    { lines: [{ ...line, quantity: 1.5 }] },
    { lines: [{ ...line, unit_price: "0.01" }] },
    { lines: [line], total: "0.01" },
    { lines: [line], status: "paid" },
    { lines: [line], number: 7 },
    { lines: [{ product_id: "1", quantity: 1 }] },
  ])("is not of the expected form: %j", async (body) => {
    expect((await a.call("POST", "/orders", body)).status).toBe(400);
  });
});

describe("the status of an order", () => {
  const path = {
    draft: [],
    placed: ["placed"],
    paid: ["placed", "paid"],
    shipped: ["placed", "paid", "shipped"],
    cancelled: ["cancelled"],
  } as const;

  test.each(orderStatuses)("may from %s become only what is declared", async (from) => {
    const member = await createMember(app);
    const product = await addProduct(member, "1");
    for (const to of orderStatuses) {
      const { id } = (await order(member, product)).body;
      await advance(member, id, ...path[from]);
      const { status, body } = await member.call("PATCH", `/orders/${id}`, { status: to });
      if (transitions[from].some((allowed) => allowed === to)) {
        expect(status).toBe(200);
        expect(body).toMatchObject({ id, status: to, lines: [{ product_id: product }] });
      } else {
        expect(body).toMatchObject({ status: 409, code: "order_status_conflict" });
      }
    }
  });

  test("is changed by one of two who try at once", async () => {
    const { id } = (await order(a, await addProduct(a, "1"))).body;
    await advance(a, id, "placed");
    const replies = await Promise.all(
      ["paid", "cancelled", "paid", "cancelled"].map((status) =>
        a.call("PATCH", `/orders/${id}`, { status }),
      ),
    );
    const won = replies.filter(({ status }) => status === 200).map(({ body }) => body.status);
    // A paid order may still be cancelled; a cancelled one is never paid.
    expect([["paid"], ["cancelled"], ["paid", "cancelled"]]).toContainEqual(
      won.toSorted().toReversed(),
    );
  });

  test("decides whether it can be deleted", async () => {
    const product = await addProduct(a, "1");
    for (const from of orderStatuses) {
      const { id } = (await order(a, product)).body;
      await advance(a, id, ...path[from]);
      const { status } = await a.call("DELETE", `/orders/${id}`);
      expect(status).toBe(from === "draft" || from === "cancelled" ? 204 : 409);
      expect((await a.call("GET", `/orders/${id}`)).status).toBe(status === 204 ? 404 : 200);
    }
  });
});

test("orders are listed by status and by user", async () => {
  const member = await createMember(app);
  const buyer = await addMember(app, member.tenant);
  const lines = [{ product_id: await addProduct(member, "1"), quantity: 1 }];
  const { id } = (await member.call("POST", "/orders", { lines, user_id: buyer.userId })).body;
  await member.call("POST", "/orders", { lines, user_id: null });
  await advance(member, id, "placed");
  const numbers = async (query: string): Promise<number[]> =>
    (await member.call("GET", `/orders?${query}`)).body.items.map(
      (item: { number: number }) => item.number,
    );
  expect(await numbers("")).toEqual([2, 1]);
  expect(await numbers("status=placed")).toEqual([1]);
  expect(await numbers(`user_id=${buyer.userId}&status=draft`)).toEqual([]);
  expect(await numbers(`user_id=${buyer.userId}`)).toEqual([1]);
  expect((await member.call("GET", "/orders?status=lost")).status).toBe(400);
});

test("an order outlives its user, and its products can only be deactivated", async () => {
  const member = await createMember(app);
  const buyer = await addMember(app, member.tenant);
  const product = await addProduct(member, "1");
  const made = await member.call("POST", "/orders", {
    user_id: buyer.userId,
    lines: [{ product_id: product, quantity: 1 }],
  });
  await app.withTenant(member.tenant, ({ db }) =>
    db.query("delete from users where id = $1", [buyer.userId]),
  );
  const path = `/orders/${made.body.id}`;
  expect((await member.call("GET", path)).body.user_id).toBeNull();

  const refused = await member.call("DELETE", `/products/${product}`);
  expect(refused.body).toMatchObject({ status: 409, code: "product_in_use" });
  const change = await member.call("PATCH", `/products/${product}`, { is_active: false });
  expect(change.status).toBe(200);
  expect((await member.call("DELETE", path)).status).toBe(204);
  expect((await member.call("DELETE", `/products/${product}`)).status).toBe(204);
});

test("a product that is deleted while it is ordered is either kept or not found", async () => {
  const member = await createMember(app);
  for (let round = 0; round < 10; round += 1) {
    const product = await addProduct(member, "1");
    const [made, deleted] = await Promise.all([
      order(member, product),
      member.call("DELETE", `/products/${product}`),
    ]);
    const outcome = `${made.body.code ?? made.status} ${deleted.body?.code ?? deleted.status}`;
    expect(["201 product_in_use", "order_product_not_found 204"]).toContain(outcome);
  }
});
