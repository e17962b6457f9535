import { createTestApp, type TestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { invoices } from "./invoices.feature.ts";

let app: TestApp;

beforeAll(async () => {
  app = await createTestApp({ features: [invoices] });
});

afterAll(() => app?.close());

/** A tenant's owner, and somebody who has the role `user` there. */
async function createPeople(isolation: "pool" | "schema" | "database" = "pool") {
  const tenant = await app.createTenant(undefined, { isolation });
  return { owner: await tenant.createUser({ role: "owner" }), user: await tenant.createUser() };
}

const invoice = { number: "2026-1", customer: "Grace Hopper", total: "0.10" };

test.each(["pool", "schema", "database"] as const)(
  "invoices are added, listed and added up in the isolation %s",
  async (isolation) => {
    const { user } = await createPeople(isolation);
    expect(await user.post("/invoices", invoice)).toMatchObject({ status: 201, body: invoice });
    await user.post("/invoices", { ...invoice, number: "2026-2", total: "0.2" });
    expect((await user.get("/invoices/unpaid")).body).toEqual({ unpaid: "0.30" });

    const first = await user.get("/invoices?limit=1");
    expect(first.body.items).toMatchObject([{ number: "2026-2", total: "0.20" }]);
    const second = await user.get(`/invoices?limit=1&cursor=${first.body.next_cursor}`);
    expect(second.body).toMatchObject({ items: [{ number: "2026-1" }], next_cursor: null });
  },
);

test("an owner marks an invoice as paid, and a user may not", async () => {
  const { owner, user } = await createPeople();
  const { id } = (await user.post("/invoices", invoice)).body;
  expect((await user.post(`/invoices/${id}/payment`)).status).toBe(403);
  const paid = await owner.post(`/invoices/${id}/payment`);
  expect(paid.body.paid_at).toEqual(expect.any(String));
  expect((await owner.post(`/invoices/${id}/payment`)).body).toEqual(paid.body);
  expect((await user.get("/invoices/unpaid")).body.unpaid).toBe("0.00");
});

test("who wants to hear of invoices does", async () => {
  const { owner, user } = await createPeople();
  const { body: names } = await owner.get("/webhooks/events");
  expect(JSON.stringify(names)).toContain("invoice.paid");
  // Nobody listens there: what matters is that it is tried.
  const hook = { url: "http://127.0.0.1:1/", events: ["invoice.paid"] };
  const made = await owner.post("/webhooks", hook);
  const { id } = (await user.post("/invoices", invoice)).body;
  await owner.post(`/invoices/${id}/payment`);
  const { body } = await owner.get(`/webhooks/${made.body.id}/deliveries`);
  expect(body.items).toMatchObject([{ event: "invoice.paid" }]);
});

test("a number is taken within its tenant only", async () => {
  const [a, b] = [await createPeople(), await createPeople()];
  expect((await a.user.post("/invoices", invoice)).status).toBe(201);
  expect((await a.user.post("/invoices", invoice)).body.code).toBe("invoice_number_taken");
  expect((await b.user.post("/invoices", invoice)).status).toBe(201);
});

test("tenant B cannot see, pay or add up A's invoices", async () => {
  const [a, b] = [await createPeople(), await createPeople()];
  const { id } = (await a.user.post("/invoices", invoice)).body;
  expect((await b.owner.get("/invoices")).body.items).toEqual([]);
  expect((await b.owner.get("/invoices/unpaid")).body.unpaid).toBe("0.00");
  expect((await b.owner.post(`/invoices/${id}/payment`)).status).toBe(404);
  expect((await a.user.get("/invoices/unpaid")).body.unpaid).toBe("0.10");
});
