/** A tenant is used through the API while it moves: nobody is refused, and nothing is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyChain } from "../../kernel/audit/verify.ts";
import type { Isolation } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";
import type { TestAccount } from "../../testing/test-tenants.ts";
import { until } from "../../testing/until.ts";

let app: TestApp;
let admin: TestAccount;
beforeAll(async () => {
  app = await createTestApp();
  admin = await app.createAdmin();
});
afterAll(() => app?.close());

/** Uses the tenant until it is stopped; every request has to succeed. */
function use(member: TestMember, product: string) {
  const known = { contacts: new Map<string, string>(), orders: 0, reads: 0, slowest: 0 };
  const refused: string[] = [];
  let stopped = false;
  const ask = async (...call: Parameters<TestMember["call"]>) => {
    const began = performance.now();
    const reply = await member.call(...call);
    known.slowest = Math.max(known.slowest, performance.now() - began);
    if (reply.status >= 300) refused.push(`${call[0]} ${call[1]}: ${reply.status} ${reply.text}`);
    return reply;
  };
  const writeContacts = async () => {
    for (let n = 0; !stopped; n += 1) {
      const { body } = await ask("POST", "/contacts", { name: `Contact ${n}` });
      known.contacts.set(body.id, body.name);
      const changed = await ask("PATCH", `/contacts/${body.id}`, { name: `Changed ${n}` });
      known.contacts.set(body.id, changed.body.name);
      if (n % 3 === 0) {
        await ask("DELETE", `/contacts/${body.id}`);
        known.contacts.delete(body.id);
      }
      await sleep(5);
    }
  };
  const order = async () => {
    while (!stopped) {
      await ask("POST", "/orders", { lines: [{ product_id: product, quantity: 1 }] });
      known.orders += 1;
      await sleep(5);
    }
  };
  const read = async () => {
    while (!stopped) {
      await ask("GET", "/contacts?limit=5");
      known.reads += 1;
      await sleep(5);
    }
  };
  const running = Promise.all([writeContacts(), writeContacts(), order(), read()]);
  return {
    known,
    refused,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

const move = async (tenant: string, isolation: Isolation) => {
  const { body, text } = await admin.post("/platform/moves", { tenant, isolation });
  const { id } = body;
  expect(id, text).toBeDefined();
  const moved = await until(
    "the move has ended",
    async () => {
      const { body: now } = await admin.get(`/platform/moves/${id}`);
      return ["kept", "aborted"].includes(now.state) && now;
    },
    60_000,
  );
  expect(moved).toMatchObject({ state: "kept", error: null });
  await admin.post(`/platform/moves/${id}/release`);
  await until("the source is cleared", async () => {
    const { body: now } = await admin.get(`/platform/moves/${id}`);
    return now.state === "done";
  });
};

describe("a tenant in use", () => {
  test("goes round the isolations, and nobody is refused anything", async () => {
    const member = await addMember(app, (await createMember(app)).tenant, "owner");
    const { tenant } = member;
    const { body: product } = await member.call("POST", "/products", { name: "A", price: "1.00" });
    const { known, refused, stop } = use(member, product.id);
    try {
      for (const isolation of ["schema", "database", "pool"] as const) {
        await move(tenant.key, isolation);
      }
    } finally {
      await stop();
    }
    expect(refused).toEqual([]);
    expect(known.orders).toBeGreaterThan(10);

    await app.withTenant(tenant.id, async ({ db }) => {
      const contacts = await db.query<{ id: string; name: string }>(
        "select id, name from contacts",
      );
      expect(new Map(contacts.map(({ id, name }) => [id, name]))).toEqual(known.contacts);
      const [orders] = await db.query(
        `select count(*)::int as count, count(distinct number)::int as different, max(number)::int as last
         from orders`,
      );
      expect(orders).toEqual({ count: known.orders, different: known.orders, last: known.orders });
      const verdict = await verifyChain({ name: tenant.id, table: "audit_log", db });
      expect(verdict).toMatchObject({ problem: undefined });
    });
  }, 180_000);
});
