/** An event goes to whoever may read what it is about, when it is asked for and when it is sent. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { TestPeople } from "../../testing/test-people.ts";
import { newHooks, openReceiver, openWebhookPeople } from "./receiver-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openWebhookPeople();
});
afterAll(() => people?.close());

type Hooks = Awaited<ReturnType<typeof newHooks>>;

const url = "http://127.0.0.1:9/";
const password = "correct horse battery staple";

/** An API key of the owner's. */
const newKey = async (hooks: Hooks, ...scopes: string[]): Promise<string> => {
  const body = { name: "a key", scopes };
  return (await people.post("/api/v1/api-keys", { ...hooks.as, body })).body.key;
};

const setUp = (token: string, events: readonly string[], to = url) =>
  people.post("/api/v1/webhooks", { token, body: { url: to, events } });

const writer = ["webhooks:read", "webhooks:write"];

describe("setting a webhook up", () => {
  it.each([["*"], ["contact.created"], ["user.created", "contact.created"]])(
    "with a key that may write webhooks and nothing else: not for %j",
    async (...events) => {
      const hooks = await newHooks(people);
      const token = await newKey(hooks, ...writer);
      const refused = await setUp(token, events);
      expect(refused.body).toMatchObject({ status: 403, code: "event_not_readable" });
      expect(refused.body.permissions).toContain("contacts:read");
      expect(refused.body.detail).toContain("contacts:read");
      expect((await setUp(token, ["webhook.tested"])).status).toBe(201);
    },
  );

  it("takes the permission of what it asks for, and is answered for by who did it", async () => {
    const hooks = await newHooks(people);
    const token = await newKey(hooks, ...writer, "contacts:read");
    expect((await setUp(token, ["contact.created"])).body.made_by).toBe(hooks.owner.user.id);
    expect((await setUp(token, ["user.created"])).body.code).toBe("event_not_readable");
  });

  it("of somebody else may not be turned to another address, nor to more, nor switched on", async () => {
    const hooks = await newHooks(people);
    const { id } = await hooks.add(url, { enabled: false });
    const token = await newKey(hooks, ...writer);
    for (const body of [{ url: `${url}mine` }, { events: ["*"] }, { enabled: true }]) {
      const refused = await people.patch(`/api/v1/webhooks/${id}`, { token, body });
      expect(refused.body, JSON.stringify(body)).toMatchObject({ code: "event_not_readable" });
    }
    const harmless = { description: "a note", enabled: false };
    expect((await people.patch(`/api/v1/webhooks/${id}`, { token, body: harmless })).status).toBe(
      200,
    );
    expect(await hooks.sql("select url, events, enabled from webhooks")).toEqual([
      { url, events: ["contact.created"], enabled: false },
    ]);
  });
});

describe("the secret of somebody else's webhook", () => {
  it("is rotated by those who may read its events, and by nobody else", async () => {
    const hooks = await newHooks(people);
    const { id } = await hooks.add(url);
    const secrets = () => hooks.sql("select sealed_secret, previous_until from webhooks");
    const before = await secrets();
    const path = `/api/v1/webhooks/${id}/rotate-secret`;
    const refused = await people.post(path, { token: await newKey(hooks, ...writer) });
    expect(refused.body).toMatchObject({ status: 403, code: "event_not_readable" });
    expect(await secrets()).toEqual(before);
    const reader = await newKey(hooks, ...writer, "contacts:read");
    expect((await people.post(path, { token: reader })).status).toBe(200);
  });
});

describe("what was sent", () => {
  it("is shown, and sent again, to those who may read it", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver((got) => ({ status: 200, body: got.body }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen("Grace");
    const { id: delivery } = await hooks.delivery(id, { state: "delivered" });
    const path = `/api/v1/webhooks/${id}/deliveries`;
    const token = await newKey(hooks, ...writer);
    const listed = await people.get(path, { token });
    expect(listed.body.items).toMatchObject([{ event: "contact.created", response_excerpt: null }]);
    for (const reply of [
      await people.get(`${path}/${delivery}`, { token }),
      await people.post(`${path}/${delivery}/redeliver`, { token }),
    ]) {
      expect(reply.body).toMatchObject({ status: 403, code: "event_not_readable" });
      expect(reply.text).not.toContain("Grace");
    }
    const shown = await people.get(`${path}/${delivery}`, hooks.as);
    expect(shown.body).toMatchObject({ payload: expect.stringContaining("Grace") });
    expect((await people.get(path, hooks.as)).text).toContain("Grace");
  });
});

describe("a delivery", () => {
  /** A webhook of an administrator who is not the owner. */
  const openOfAdmin = async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const admin = await people.addUser(hooks.tenant, hooks.as, { role: "admin", password });
    const made = await setUp(admin.token, ["contact.created"], receiver.url);
    expect(made.status, made.text).toBe(201);
    const { id } = made.body as { id: string };
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    return { hooks, receiver, admin: admin.user as { id: string }, id };
  };

  it("stops, visibly, when the maker may not read it any more, and goes on when they may", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const admin = await people.addUser(hooks.tenant, hooks.as, { role: "admin", password });
    const { id } = (await setUp(admin.token, ["user.created"], receiver.url)).body;
    const become = (role: string) =>
      people.patch(`/api/v1/users/${admin.user.id}`, { ...hooks.as, body: { role } });
    // A viewer may not see the tenant's users.
    await become("viewer");
    await people.addUser(hooks.tenant, hooks.as, {});
    const withheld = await hooks.delivery(id, { state: "failed" });
    expect(withheld.reason).toContain("may not read");
    expect(receiver.received).toEqual([]);
    await become("admin");
    await people.addUser(hooks.tenant, hooks.as, {});
    await hooks.delivery(id, { state: "delivered" });
    expect(receiver.received).toHaveLength(1);
    expect((await people.get(`/api/v1/webhooks/${id}`, hooks.as)).body).toMatchObject({
      enabled: true,
      failing_since: null,
    });
  });

  const gone: Readonly<Record<string, (hooks: Hooks, admin: { id: string }) => Promise<unknown>>> =
    {
      "is deleted": (hooks, { id }) => people.delete(`/api/v1/users/${id}`, hooks.as),
      "is switched off": (hooks, { id }) =>
        people.patch(`/api/v1/users/${id}`, { ...hooks.as, body: { is_active: false } }),
      "is not known": (hooks) => hooks.sql("update webhooks set made_by = null"),
    };
  it.each(Object.keys(gone))(
    "is not made when the maker %s: the webhook is switched off",
    async (how) => {
      const { hooks, receiver, admin, id } = await openOfAdmin();
      await gone[how]?.(hooks, admin);
      await hooks.happen("Hidden");
      const path = `/api/v1/webhooks/${id}`;
      const off = { enabled: false, disabled_reason: "maker_gone" };
      await expect.poll(async () => (await people.get(path, hooks.as)).body).toMatchObject(off);
      expect(receiver.received).toHaveLength(1);
      await expect
        .poll(async () => (await people.mailsTo(hooks.owner.account.email)).map((m) => m.template))
        .toContain("webhook_disabled");
      // What waits goes out when somebody answers for it.
      const on = await people.patch(path, { ...hooks.as, body: { enabled: true } });
      expect(on.body.made_by).toBe(hooks.owner.user.id);
      await hooks.delivery(id, { state: "delivered" });
      expect(receiver.received.at(-1)?.body).toContain("Hidden");
    },
  );

  it("is not made when the client certificate that it was set up with may not read it, ends, or is removed", async () => {
    const { hooks, receiver, admin, id } = await openOfAdmin();
    const certificate = (change: object) =>
      people.onPlatform(({ control }) =>
        control
          .updateTable("control.client_certificates")
          .set(change)
          .where("tenant_id", "=", hooks.tenant.id)
          .execute(),
      );
    const registered = { user_id: admin.id as UserId, scopes: ["contacts:read"] };
    const [made] = await people.onPlatform(({ control }) =>
      control
        .insertInto("control.client_certificates")
        .values({
          ...{ tenant_id: hooks.tenant.id, name: "a machine", kind: "certificate", ...registered },
          ...{ fingerprint: "0", certificate: "", subject: "CN=machine", required_subject: [] },
          ...{ not_before: new Date(0), not_after: new Date(Date.now() + 86_400_000) },
        })
        .returning("id")
        .execute(),
    );
    await hooks.sql("update webhooks set made_with_certificate = $1", [made?.id]);
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    expect(receiver.received).toHaveLength(2);
    // Its user still may.
    await certificate({ scopes: [] });
    await hooks.happen();
    expect((await hooks.delivery(id, { state: "failed" })).reason).toContain("may not read");
    const switchesItOff = async () => {
      await hooks.settled(id);
      await hooks.sql("update webhooks set enabled = true, disabled_reason = null");
      await hooks.happen();
      await expect
        .poll(async () => (await people.get(`/api/v1/webhooks/${id}`, hooks.as)).body)
        .toMatchObject({ enabled: false, disabled_reason: "maker_gone" });
    };
    await certificate({ not_after: new Date() });
    await switchesItOff();
    await certificate({
      not_after: new Date(Date.now() + 86_400_000),
      user_id: hooks.owner.user.id,
    });
    await switchesItOff();
    await people.onPlatform(({ control }) =>
      control
        .deleteFrom("control.client_certificates")
        .where("tenant_id", "=", hooks.tenant.id)
        .execute(),
    );
    await switchesItOff();
    expect(receiver.received).toHaveLength(2);
  });

  it("is not made when the key that it was set up with is revoked", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const token = await newKey(hooks, ...writer, "contacts:read");
    const { id } = (await setUp(token, ["contact.created"], receiver.url)).body;
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    const { items } = (await people.get("/api/v1/api-keys", hooks.as)).body;
    await people.delete(`/api/v1/api-keys/${items[0].id}`, hooks.as);
    await hooks.happen();
    await expect
      .poll(async () => (await people.get(`/api/v1/webhooks/${id}`, hooks.as)).body)
      .toMatchObject({ disabled_reason: "maker_gone" });
    expect(receiver.received).toHaveLength(1);
  });
});
