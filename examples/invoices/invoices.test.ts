import type { App } from "insulae";
import { createTestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { invoices } from "./invoices.feature.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp({ features: [invoices] });
});

afterAll(() => app?.close());

type Isolation = "pool" | "schema" | "database";
type Method = "GET" | "POST";

const send = async (
  method: Method,
  path: string,
  headers: Record<string, string>,
  body?: object,
) => {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers,
    ...(body && { payload: body }),
  });
  return { status: reply.statusCode, body: reply.json() };
};

const as = (token: string) => (method: Method, path: string, body?: object) =>
  send(method, path, { authorization: `Bearer ${token}` }, body);

const register = async (email: string, headers: Record<string, string> = {}): Promise<string> => {
  const person = { email, password: "a-Fine-passphrase-7" };
  return (await send("POST", "/auth/register", headers, person)).body.access_token;
};

/** A tenant, as its owner and as somebody who has the role `user`. */
async function newTenant(key: string, isolation: Isolation = "pool") {
  const account = await register(`owner@${key}.example`);
  await as(account)("POST", "/tenants", { key, name: key, isolation });
  const owner = await as(account)("POST", "/auth/switch", { tenant: key });
  const user = await register(`user@${key}.example`, { "x-tenant": key });
  return { owner: as(owner.body.access_token), user: as(user) };
}

const invoice = { number: "2026-1", customer: "Grace Hopper", total: "0.10" };

test.each(["pool", "schema", "database"] as const)(
  "invoices are added, listed and added up in the isolation %s",
  async (isolation) => {
    const { user } = await newTenant(`sums-${isolation}`, isolation);
    expect(await user("POST", "/invoices", invoice)).toMatchObject({ status: 201, body: invoice });
    await user("POST", "/invoices", { ...invoice, number: "2026-2", total: "0.2" });
    expect((await user("GET", "/invoices/unpaid")).body).toEqual({ unpaid: "0.30" });

    const first = await user("GET", "/invoices?limit=1");
    expect(first.body.items).toMatchObject([{ number: "2026-2", total: "0.20" }]);
    const second = await user("GET", `/invoices?limit=1&cursor=${first.body.next_cursor}`);
    expect(second.body).toMatchObject({ items: [{ number: "2026-1" }], next_cursor: null });
  },
);

test("an owner marks an invoice as paid, and a user may not", async () => {
  const { owner, user } = await newTenant("paying");
  const { id } = (await user("POST", "/invoices", invoice)).body;
  expect((await user("POST", `/invoices/${id}/payment`)).status).toBe(403);
  const paid = await owner("POST", `/invoices/${id}/payment`);
  expect(paid.body.paid_at).toEqual(expect.any(String));
  expect((await owner("POST", `/invoices/${id}/payment`)).body).toEqual(paid.body);
  expect((await user("GET", "/invoices/unpaid")).body.unpaid).toBe("0.00");
});

test("who wants to hear of invoices does", async () => {
  const { owner, user } = await newTenant("hooks");
  const { body: names } = await owner("GET", "/webhooks/events");
  expect(JSON.stringify(names)).toContain("invoice.paid");
  // Nobody listens there: what matters is that it is tried.
  const hook = { url: "http://127.0.0.1:1/", events: ["invoice.paid"] };
  const made = await owner("POST", "/webhooks", hook);
  const { id } = (await user("POST", "/invoices", invoice)).body;
  await owner("POST", `/invoices/${id}/payment`);
  const { body } = await owner("GET", `/webhooks/${made.body.id}/deliveries`);
  expect(body.items).toMatchObject([{ event: "invoice.paid" }]);
});

test("a number is taken within its tenant only", async () => {
  const [a, b] = [await newTenant("number-a"), await newTenant("number-b")];
  expect((await a.user("POST", "/invoices", invoice)).status).toBe(201);
  expect((await a.user("POST", "/invoices", invoice)).body.code).toBe("invoice_number_taken");
  expect((await b.user("POST", "/invoices", invoice)).status).toBe(201);
});

test("tenant B cannot see, pay or add up A's invoices", async () => {
  const [a, b] = [await newTenant("a"), await newTenant("b")];
  const { id } = (await a.user("POST", "/invoices", invoice)).body;
  expect((await b.owner("GET", "/invoices")).body.items).toEqual([]);
  expect((await b.owner("GET", "/invoices/unpaid")).body.unpaid).toBe("0.00");
  expect((await b.owner("POST", `/invoices/${id}/payment`)).status).toBe(404);
  expect((await a.user("GET", "/invoices/unpaid")).body.unpaid).toBe("0.10");
});
