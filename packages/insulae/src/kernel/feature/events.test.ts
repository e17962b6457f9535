import { randomUUID } from "node:crypto";
import type { Kysely } from "kysely";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createApp } from "../../app/app.ts";
import { contacts } from "../../features/contacts/contacts.feature.ts";
import { orders } from "../../features/orders/orders.feature.ts";
import { products } from "../../features/products/products.feature.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import type { EventDeclaration, EventName } from "./events.ts";
import { feature } from "./feature.ts";
import { secretText } from "./fields.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ features: [contacts, products, orders] });
});
afterAll(() => people?.close());

/** A tenant with a webhook that nobody answers: the events it subscribes to are recorded. */
async function newTenant(events?: readonly string[]) {
  const tenant = await people.newTenant();
  const owner = await people.newOwner(tenant);
  const as = { token: owner.token };
  const subscribe = async (wanted: readonly string[]) => {
    const body = { url: "http://127.0.0.1:1/", events: wanted };
    expect((await people.post("/api/v1/webhooks", { ...as, body })).status).toBe(201);
  };
  if (events) await subscribe(events);
  const recorded = async () => {
    const rows = await people.onTenant(tenant, (db) =>
      db.query<{ name: string; payload: string }>(
        "select name, payload from webhook_events order by id",
      ),
    );
    return rows.map(({ name, payload }) => ({ name, ...JSON.parse(payload) }));
  };
  return { tenant, owner, as, subscribe, recorded };
}

type Tx = Kysely<Record<never, never>>;

/** Whether a change that records the event got a transaction. */
const isInTransaction = (tenant: Parameters<TestPeople["onTenant"]>[0], name: EventName) =>
  people.app.withTenant(tenant, ({ events }) =>
    events.recording(name, async (db: Tx) => db.isTransaction),
  );

describe("an event", () => {
  it("costs nothing without subscribers: the change is not a transaction", async () => {
    const { tenant, subscribe, recorded } = await newTenant(["contact.deleted"]);
    expect(await isInTransaction(tenant, "contact.created")).toBe(false);
    await subscribe(["contact.created"]);
    expect(await isInTransaction(tenant, "contact.created")).toBe(true);
    expect(await isInTransaction(tenant, "contact.updated")).toBe(false);
    expect(await recorded()).toEqual([]);
  });

  it("exists if and only if its change does", async () => {
    const { tenant, recorded } = await newTenant(["*"]);
    const insert = (fails: boolean) =>
      people.app.withTenant(tenant, ({ events }) =>
        events.recording("contact.created", async (tx: Kysely<{ contacts: { name: string } }>) => {
          await tx.insertInto("contacts").values({ name: "Ada" }).execute();
          if (fails) throw new Error("no");
          return { name: "Ada" };
        }),
      );
    await expect(insert(true)).rejects.toThrow("no");
    expect(await recorded()).toEqual([]);
    await insert(false);
    expect(await recorded()).toMatchObject([{ name: "contact.created", data: { name: "Ada" } }]);
  });

  it("is rolled back with its transaction", async () => {
    const { tenant, recorded } = await newTenant(["*"]);
    const work = people.app.withTenant(tenant, ({ db, events }) =>
      db.transaction().execute(async (tx) => {
        await events.record("contact.deleted", { id: randomUUID() }, tx);
        throw new Error("no");
      }),
    );
    await expect(work).rejects.toThrow("no");
    expect(await recorded()).toEqual([]);
  });

  it("contains exactly the members of its schema", async () => {
    const { tenant, recorded } = await newTenant(["*"]);
    const id = randomUUID();
    await people.app.withTenant(tenant, ({ events }) =>
      events.recording("contact.deleted", async () => ({ id, password_hash: "x" })),
    );
    expect(await recorded()).toEqual([
      {
        name: "contact.deleted",
        type: "contact.deleted",
        timestamp: expect.any(String),
        data: { id },
      },
    ]);
  });

  it("that is undeclared is an error, even without subscribers", async () => {
    const { tenant } = await newTenant();
    await expect(isInTransaction(tenant, "contact.eaten")).rejects.toThrow(
      "the event contact.eaten is not declared by any feature",
    );
  });

  it("is recorded on every node within a second of the subscription, and not after its end", async () => {
    const { tenant, as, subscribe } = await newTenant();
    const node = await people.openNode({ jobsConcurrency: 0 });
    onTestFinished(() => node.close());
    const wanted = () =>
      node.withTenant(tenant, ({ events }) =>
        events.recording("contact.created", async (db: Tx) => db.isTransaction),
      );
    expect(await wanted()).toBe(false);
    await subscribe(["*"]);
    await expect.poll(wanted, { timeout: 1_000, interval: 20 }).toBe(true);
    const [{ id }] = (await people.get("/api/v1/webhooks", as)).body.items;
    await people.delete(`/api/v1/webhooks/${id}`, as);
    await expect.poll(wanted, { timeout: 1_000, interval: 20 }).toBe(false);
  });
});

describe("changes through the API", () => {
  it("record events: contacts, with and without If-Match, but not if refused", async () => {
    const { as, recorded } = await newTenant(["*"]);
    const made = await people.post("/api/v1/contacts", { ...as, body: { name: "Ada" } });
    const path = `/api/v1/contacts/${made.body.id}`;
    const change = (tag: string) =>
      people.app.inject({
        method: "PATCH",
        url: path,
        headers: { authorization: `Bearer ${as.token}`, "if-match": tag },
        payload: { name: "Grace" },
      });
    const tag = String((await people.get(path, as)).headers.etag);
    expect((await change('"another"')).statusCode).toBe(412);
    expect((await change(tag)).statusCode).toBe(200);
    expect((await people.delete(path, as)).status).toBe(204);
    expect((await people.delete(path, as)).status).toBe(404);
    expect((await people.patch(path, { ...as, body: { name: "Eve" } })).status).toBe(404);
    expect((await people.post("/api/v1/contacts", { ...as, body: {} })).status).toBe(400);
    expect(await recorded()).toMatchObject([
      { name: "contact.created", data: made.body },
      {
        name: "contact.updated",
        data: { ...made.body, name: "Grace", updated_at: expect.any(String) },
      },
      { name: "contact.deleted", data: { id: made.body.id } },
    ]);
  });

  it("record events: orders, with a change of status", async () => {
    const { as, recorded } = await newTenant([
      "order.created",
      "order.status_changed",
      "order.deleted",
    ]);
    const product = await people.post("/api/v1/products", {
      ...as,
      body: { name: "A thing", price: "1.50" },
    });
    const line = { product_id: product.body.id, quantity: 2 };
    const made = await people.post("/api/v1/orders", { ...as, body: { lines: [line] } });
    const path = `/api/v1/orders/${made.body.id}`;
    await people.patch(path, { ...as, body: { status: "cancelled" } });
    await people.patch(path, { ...as, body: { status: "paid" } });
    await people.delete(path, as);
    const unknown = { product_id: randomUUID(), quantity: 2 };
    await people.post("/api/v1/orders", { ...as, body: { lines: [unknown] } });
    expect(await recorded()).toMatchObject([
      { name: "order.created", data: { ...made.body, lines: [{ ...line, line_total: "3.00" }] } },
      { name: "order.status_changed", data: { id: made.body.id, status: "cancelled" } },
      { name: "order.deleted", data: { id: made.body.id } },
    ]);
  });

  it("record events: users who register and delete themselves", async () => {
    const { tenant, owner, recorded } = await newTenant(["*"]);
    const { user, token } = await people.register(tenant);
    await people.post(`/api/v1/tenants/${tenant.id}/leave`, { token });
    const { account } = await people.newAccount();
    await people.makeOwner(tenant, account);
    expect(owner.user.id).not.toBe(user.id);
    expect(await recorded()).toMatchObject([
      { name: "user.created", data: { id: user.id, role: "user" } },
      { name: "user.deleted", data: { id: user.id } },
      { name: "user.created", data: { email: account.email, role: "owner" } },
    ]);
  });

  it("record events: users, however their role changes", async () => {
    const { tenant, owner, as, recorded } = await newTenant(["*"]);
    const { user } = await people.addUser(tenant, owner, { role: "user" });
    const path = `/api/v1/users/${user.id}`;
    await people.post(`${path}/roles`, { ...as, body: { role: "manager" } });
    await people.delete(path, as);
    expect(await recorded()).toMatchObject([
      { name: "user.created", data: { id: user.id, role: "user" } },
      { name: "user.updated", data: { id: user.id, role: "manager" } },
      { name: "user.deleted", data: { id: user.id } },
    ]);
  });
});

describe("a server does not start if", () => {
  const permission = "contacts:read";
  const data = Type.Object({});
  it.each([
    [
      "with an event that has a secret in it",
      { "thing.made": { permission, data: Type.Object({ key: secretText("A key") }) } },
    ],
    ["with a name of another form", { "thing.WasMade": { permission, data } }],
    ["with an event that two features declare", { "contact.created": { permission, data } }],
    [
      "with an event whose permission nobody declares",
      { "thing.made": { permission: "things:read", data } },
    ],
    [
      "with an event that has no permission",
      { "thing.made": { data } as unknown as EventDeclaration },
    ],
  ] as const)("%s", async (_, events) => {
    const { config } = people.app;
    const starting = async () =>
      createApp({ features: [contacts, feature("things", { events })], env: {}, config });
    await expect(starting()).rejects.toThrow(/event (thing|contact)/);
  });
});
