import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { isolations } from "../../kernel/model/tenant.ts";
import { unknownId } from "../../testing/fixtures.ts";
import type { TestPeople } from "../../testing/test-people.ts";
import { newHooks, openReceiver, openWebhookPeople } from "./receiver-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openWebhookPeople();
});
afterAll(() => people?.close());

const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

describe("webhooks", () => {
  it.each(isolations)("are added, listed, changed and deleted (%s)", async (isolation) => {
    const hooks = await newHooks(people, isolation);
    const url = "http://127.0.0.1:9/hooks?key=1#part";
    const { secret, ...made } = await hooks.add(url, { description: "To the CRM" });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made).toEqual({
      id: expect.any(String),
      url: "http://127.0.0.1:9/hooks?key=1",
      events: ["contact.created"],
      description: "To the CRM",
      enabled: true,
      disabled_reason: null,
      failing_since: null,
      made_by: hooks.owner.user.id,
      created_at: expect.any(String),
      updated_at: made.created_at,
    });
    const path = `/api/v1/webhooks/${made.id}`;
    expect((await people.get("/api/v1/webhooks", hooks.as)).body).toEqual({ items: [made] });
    const shown = await people.get(path, hooks.as);
    expect(shown.body).toEqual(made);

    const body = { events: ["*", "*"], enabled: false };
    const changed = await people.patch(path, { ...hooks.as, body });
    expect(changed.body).toMatchObject({ events: ["*"], enabled: false, url: made.url });
    const stale = await people.app.inject({
      method: "PATCH",
      url: path,
      headers: {
        authorization: `Bearer ${hooks.as.token}`,
        "if-match": String(shown.headers.etag),
      },
      payload: { enabled: true },
    });
    expect(stale.statusCode).toBe(412);

    expect(outcome(await people.delete(path, hooks.as))).toBe("done");
    expect(outcome(await people.get(path, hooks.as))).toBe("webhook_not_found");
    expect(
      await hooks.sql(
        "select action, detail from audit_log where target_type = 'webhook' order by seq",
      ),
    ).toEqual([
      { action: "webhook.created", detail: { host: "127.0.0.1:9", events: ["contact.created"] } },
      { action: "webhook.changed", detail: { host: "127.0.0.1:9", events: ["*"] } },
      { action: "webhook.deleted", detail: { host: "127.0.0.1:9" } },
    ]);
  });

  it("are at most twenty to a tenant", async () => {
    const hooks = await newHooks(people);
    const { id } = await hooks.add("http://127.0.0.1:9/");
    await hooks.sql(
      `insert into webhooks (url, events, sealed_secret)
       select url, events, sealed_secret from webhooks, generate_series(1, 19) where id = $1`,
      [id],
    );
    const body = { url: "http://127.0.0.1:9/", events: ["*"] };
    const one = await people.post("/api/v1/webhooks", { ...hooks.as, body });
    expect(outcome(one)).toBe("too_many_webhooks");
  });

  it("ask for events that there are, which a list tells with their schemas", async () => {
    const hooks = await newHooks(people);
    const { body } = await people.get("/api/v1/webhooks/events", hooks.as);
    const names = body.items.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "contact.created",
        "contact.deleted",
        "user.updated",
        "webhook.tested",
      ]),
    );
    const created = body.items.find(({ name }: { name: string }) => name === "contact.created");
    expect(created.schema).toMatchObject({ type: "object", properties: { email: {} } });
    for (const events of [["contact.eaten"], ["contact.*"], ["*", "x"]]) {
      const url = "http://127.0.0.1:9/";
      const refused = await people.post("/api/v1/webhooks", { ...hooks.as, body: { url, events } });
      expect(outcome(refused)).toBe("unknown_event");
    }
  });

  it("are tried out at once, whether or not they are switched on", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver(() => ({ status: 418, body: "I'm a teapot" }));
    const { id } = await hooks.add(receiver.url, { enabled: false });
    const tested = await people.post(`/api/v1/webhooks/${id}/test`, hooks.as);
    expect(tested.body).toMatchObject({
      event: "webhook.tested",
      state: "failed",
      attempts: 1,
      next_attempt_at: null,
      response_status: 418,
      response_excerpt: "I'm a teapot",
    });
    expect(receiver.received.map(({ body }) => body)).toEqual([tested.body.payload]);
    expect(await hooks.deliveries(id)).toMatchObject([{ id: tested.body.id }]);
  });

  it("have their deliveries listed by state, page by page", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver((_, count) => ({ status: count === 1 ? 500 : 200 }));
    const { id } = await hooks.add(receiver.url);
    for (let i = 0; i < 3; i += 1) await people.post(`/api/v1/webhooks/${id}/test`, hooks.as);
    const list = async (query: string) =>
      (await people.get(`/api/v1/webhooks/${id}/deliveries?${query}`, hooks.as)).body;
    expect((await list("state=failed")).items).toHaveLength(1);
    const first = await list("limit=2");
    expect(first.items.map(({ state }: { state: string }) => state)).toEqual([
      "delivered",
      "delivered",
    ]);
    const second = await list(`limit=2&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ items: [{ state: "failed" }], next_cursor: null });
  });

  it("are the administrators' matter", async () => {
    const hooks = await newHooks(people);
    const { token } = await people.addUser(hooks.tenant, hooks.owner, {
      role: "manager",
      password: people.password,
    });
    expect(outcome(await people.get("/api/v1/webhooks", { token }))).toBe("permission_denied");
  });
});

describe("a webhook's secret", () => {
  it("is sealed in the database, for its tenant alone, and in no log", async () => {
    const [a, b] = [await newHooks(people), await newHooks(people)];
    const receiver = await openReceiver();
    const path = "/token-in-the-path";
    const { id, secret } = await a.add(`${receiver.url}${path}`);
    await a.happen("Somebody secret");
    await a.delivery(id, { state: "delivered" });
    const rows = JSON.stringify(await a.sql("select * from webhooks"));
    expect(rows).not.toContain(secret.slice("whsec_".length));
    const logged = JSON.stringify(people.logLines());
    for (const text of [secret, "Somebody secret", path]) expect(logged).not.toContain(text);

    // Another tenant's row with the same text opens nothing.
    const other = await b.add(receiver.url);
    const [{ sealed_secret } = {}] = await a.sql("select sealed_secret from webhooks");
    await b.sql("update webhooks set sealed_secret = $1", [sealed_secret]);
    expect((await people.post(`/api/v1/webhooks/${other.id}/test`, b.as)).status).toBe(500);
  });
});

describe("an address that is not public is refused (attack 78)", () => {
  /** As in production, where this machine itself may not be asked either. */
  const openProduction = async () => {
    const app = await people.openNode({
      env: "production",
      baseDomain: "example.com",
      jobsConcurrency: 0,
    });
    onTestFinished(() => app.close());
    return app;
  };

  it("when it is configured or changed: by address, by name, in other spellings, without TLS", async () => {
    const hooks = await newHooks(people);
    const app = await openProduction();
    const { id } = await hooks.add("http://127.0.0.1:9/");
    for (const url of [
      "https://127.0.0.1/",
      "https://localhost/",
      "https://[::1]/",
      "https://2130706433/",
      "https://0x7f.1/",
      "https://10.0.0.1/",
      "https://192.168.0.1/",
      "https://169.254.169.254/latest/meta-data/",
      "https://[fe80::1]/",
      "https://[::ffff:10.0.0.1]/",
      "http://93.184.216.34/",
      "https://user:password@93.184.216.34/",
      "ftp://93.184.216.34/",
      "https://there-is-no-such-host.invalid/",
    ]) {
      const headers = { authorization: `Bearer ${hooks.as.token}` };
      for (const [method, path] of [
        ["POST", "/api/v1/webhooks"],
        ["PATCH", `/api/v1/webhooks/${id}`],
      ] as const) {
        const payload = { url, events: ["*"] };
        const reply = await app.inject({ method, url: path, headers, payload });
        expect([url, reply.statusCode, reply.json().code]).toEqual([
          url,
          400,
          "webhook_address_refused",
        ]);
      }
    }
  });

  it("at each delivery again: what was public when it was configured is not asked inside", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const { id } = await hooks.add(receiver.url);
    await hooks.sql("update webhooks set url = $1", ["https://10.0.0.1/"]);
    await hooks.happen();
    expect(await hooks.delivery(id, { attempts: 1 })).toMatchObject({
      state: "waiting",
      response_status: null,
      reason: "The URL does not lead to a public address over HTTPS",
    });
    // In production neither this machine.
    const app = await openProduction();
    await hooks.sql("update webhooks set url = $1", [receiver.url]);
    const tested = await app.inject({
      method: "POST",
      url: `/api/v1/webhooks/${id}/test`,
      headers: { authorization: `Bearer ${hooks.as.token}` },
    });
    expect(tested.json()).toMatchObject({ state: "failed", response_status: null });
    expect(receiver.received).toEqual([]);
  });
});

describe("tenant B", () => {
  it("can't see, change, delete, try, rotate or redeliver what is A's", async () => {
    const [a, b] = [await newHooks(people), await newHooks(people)];
    const receiver = await openReceiver();
    const { id } = await a.add(receiver.url);
    await a.happen();
    const { id: delivery } = await a.delivery(id, { state: "delivered" });
    const mine = await b.add(receiver.url);
    const attempts = (hook: string, of: string) => [
      people.get(`/api/v1/webhooks/${hook}`, b.as),
      people.patch(`/api/v1/webhooks/${hook}`, { ...b.as, body: { enabled: false } }),
      people.delete(`/api/v1/webhooks/${hook}`, b.as),
      people.post(`/api/v1/webhooks/${hook}/test`, b.as),
      people.post(`/api/v1/webhooks/${hook}/rotate-secret`, b.as),
      people.get(`/api/v1/webhooks/${hook}/deliveries`, b.as),
      people.get(`/api/v1/webhooks/${hook}/deliveries/${of}`, b.as),
      people.post(`/api/v1/webhooks/${hook}/deliveries/${of}/redeliver`, b.as),
      people.get(`/api/v1/webhooks/${mine.id}/deliveries/${of}`, b.as),
      people.post(`/api/v1/webhooks/${mine.id}/deliveries/${of}/redeliver`, b.as),
    ];
    const same = ({ body }: { body: object }) => ({ ...body, request_id: undefined });
    const foreign = (await Promise.all(attempts(id, delivery))).map(same);
    expect(foreign).toEqual((await Promise.all(attempts(unknownId, unknownId))).map(same));
    for (const each of foreign) expect(each).toMatchObject({ status: 404 });
    expect((await people.get("/api/v1/webhooks", b.as)).body.items).toHaveLength(1);
    expect(receiver.received).toHaveLength(1);
  });
});

it("attempts are counted, by what became of them", async () => {
  const hooks = await newHooks(people);
  const counted = async (outcome: string) => {
    const text = (await people.app.inject("/metrics")).body;
    const line = new RegExp(
      `^insulae_webhook_deliveries_total\\{outcome="${outcome}"\\} (\\d+)$`,
      "m",
    );
    return Number(line.exec(text)?.[1] ?? 0);
  };
  const receiver = await openReceiver((_, count) => ({ status: count === 2 ? 200 : 500 }));
  const { id } = await hooks.add(receiver.url);
  const before = { delayed: await counted("delayed"), failed: await counted("failed") };
  await hooks.happen();
  await hooks.delivery(id, { attempts: 1 });
  const delivered = await counted("delivered");
  await hooks.pass(id);
  await hooks.delivery(id, { state: "delivered" });
  await hooks.happen();
  await hooks.settled(id);
  await hooks.sql("update webhook_deliveries set attempts = 7 where state = 'waiting'");
  await hooks.pass(id);
  await hooks.delivery(id, { state: "failed" });
  await hooks.settled(id);
  expect(await counted("delayed")).toBeGreaterThan(before.delayed);
  expect(await counted("failed")).toBeGreaterThan(before.failed);
  expect(await counted("delivered")).toBeGreaterThan(delivered);
});
