import { hash } from "node:crypto";
import { sql } from "kysely";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isolations } from "../../kernel/model/tenant.ts";
import type { TestPeople } from "../../testing/test-people.ts";
import { newHooks, openReceiver, openWebhookPeople, type Received } from "./receiver-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openWebhookPeople();
});
afterAll(() => people?.close());

const verified = (secret: string, { body, headers }: Received) =>
  new Webhook(secret).verify(body, headers);

const signedBy = (secret: string, received: Received): boolean => {
  try {
    verified(secret, received);
    return true;
  } catch {
    return false;
  }
};

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  it("an event is delivered, signed after Standard Webhooks", async () => {
    const hooks = await newHooks(people, isolation);
    const receiver = await openReceiver(() => ({ status: 202, body: "thank you" }));
    const { id, secret } = await hooks.add(receiver.url, { events: ["*"] });
    const contact = await hooks.happen();
    const delivery = await hooks.delivery(id, { state: "delivered" });
    expect(delivery).toMatchObject({
      event: "contact.created",
      attempts: 1,
      next_attempt_at: null,
      response_status: 202,
      response_excerpt: "thank you",
      reason: null,
    });
    const [received] = receiver.received;
    if (!received) throw new Error("it was delivered");
    expect(verified(secret, received)).toEqual({
      type: "contact.created",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: contact,
    });
    expect(received.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": delivery.event_id,
    });
    const shown = await people.get(`/api/v1/webhooks/${id}/deliveries/${delivery.id}`, hooks.as);
    expect(shown.body).toEqual({ ...delivery, payload: received.body });
  });

  it("an event reaches only its own tenant's webhooks", async () => {
    const [a, b] = [await newHooks(people, isolation), await newHooks(people, isolation)];
    const receiver = await openReceiver();
    const mine = await a.add(receiver.url);
    const theirs = await b.add(receiver.url);
    await a.happen("Only A's");
    await a.delivery(mine.id, { state: "delivered" });
    expect(receiver.received).toHaveLength(1);
    expect(await b.deliveries(theirs.id)).toEqual([]);
  });
});

describe("a signature", () => {
  it("is refused where body, id, time or secret are others", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const { id, secret } = await hooks.add(receiver.url);
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    const [received] = receiver.received;
    if (!received) throw new Error("it was delivered");
    const { headers, body } = received;
    const wrong: readonly Received[] = [
      { headers, body: body.replace("Ada", "Eve"), url: "" },
      { headers: { ...headers, "webhook-id": "another" }, body, url: "" },
      {
        headers: {
          ...headers,
          "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 1),
        },
        body,
        url: "",
      },
    ];
    expect(wrong.map((each) => signedBy(secret, each))).toEqual([false, false, false]);
    const other = `whsec_${Buffer.from(hash("sha256", secret)).toString("base64")}`;
    expect(signedBy(other, { headers, body, url: "" })).toBe(false);
  });

  it("is by both secrets for a day after one was replaced", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const { id, secret } = await hooks.add(receiver.url);
    const rotated = await people.post(`/api/v1/webhooks/${id}/rotate-secret`, hooks.as);
    expect(rotated.status).toBe(200);
    const inHours = (Date.parse(rotated.body.previous_until) - Date.now()) / 3_600_000;
    expect(Math.round(inHours)).toBe(24);
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    await hooks.sql("update webhooks set previous_until = now()");
    await hooks.happen();
    await expect.poll(() => receiver.received.length).toBe(2);
    const by = (key: string) => receiver.received.map((each) => signedBy(key, each));
    expect([by(rotated.body.secret), by(secret)]).toEqual([
      [true, true],
      [true, false],
    ]);
  });
});

describe("a delivery that fails", () => {
  it.each<[string, { status: number; location?: string }, string]>([
    ["an error", { status: 500 }, "The receiver answered 500"],
    ["a refusal", { status: 404 }, "The receiver answered 404"],
    [
      "a redirect",
      { status: 307, location: "/elsewhere" },
      "The receiver answered with a redirect; redirects are not followed",
    ],
  ])("with %s is tried again, with the same id and body", async (_, answer, reason) => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver((_, count) => (count > 1 ? { status: 204 } : answer));
    const { id, secret } = await hooks.add(receiver.url);
    await hooks.happen();
    const failed = await hooks.delivery(id, { attempts: 1 });
    expect(failed).toMatchObject({ state: "waiting", response_status: answer.status, reason });
    const waits = Date.parse(failed.next_attempt_at) - Date.parse(failed.tried_at);
    expect(waits).toBeGreaterThanOrEqual(4_999);
    expect(waits).toBeLessThanOrEqual(6_001);
    await hooks.settled(id);
    const { body: shown } = await people.get(`/api/v1/webhooks/${id}`, hooks.as);
    expect(shown).toMatchObject({ enabled: true, failing_since: expect.any(String) });

    await hooks.pass(id);
    expect(await hooks.delivery(id, { state: "delivered" })).toMatchObject({ attempts: 2 });
    const [first, second] = receiver.received;
    expect(receiver.received.map(({ url }) => url)).toEqual(["/hook", "/hook"]);
    expect(second?.body).toBe(first?.body);
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(receiver.received.every((each) => signedBy(secret, each))).toBe(true);
    await hooks.settled(id);
    const after = await people.get(`/api/v1/webhooks/${id}`, hooks.as);
    expect(after.body.failing_since).toBeNull();
  });

  it("comes back by itself", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver((_, count) => ({ status: count > 1 ? 200 : 503 }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    expect(await hooks.delivery(id, { state: "delivered" })).toMatchObject({ attempts: 2 });
  }, 20_000);

  it("for nobody is there is tried eight times, ever later, and given up", async () => {
    const hooks = await newHooks(people);
    const { id } = await hooks.add("http://127.0.0.1:1/");
    await hooks.happen();
    const waits: number[] = [];
    for (let attempts = 1; attempts < 8; attempts += 1) {
      const { next_attempt_at, tried_at, reason } = await hooks.delivery(id, { attempts });
      expect(reason).toBe("The connection failed or was interrupted");
      waits.push((Date.parse(next_attempt_at) - Date.parse(tried_at)) / 1_000);
      await hooks.pass(id);
    }
    expect(await hooks.delivery(id, { attempts: 8 })).toMatchObject({ state: "failed" });
    for (const [i, seconds] of [5, 60, 300, 1_800, 7_200, 28_800, 86_400].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(seconds - 0.01);
      expect(waits[i]).toBeLessThanOrEqual(seconds * 1.2 + 0.01);
    }
  });

  it("keeps a kilobyte of an endless answer", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver(() => ({ status: 200, body: "é\0".repeat(500_000) }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    const { response_excerpt: excerpt } = await hooks.delivery(id, { state: "delivered" });
    expect(excerpt.length).toBeGreaterThan(300);
    expect(excerpt.length).toBeLessThanOrEqual(1_024);
  });
});

describe("a webhook that fails", () => {
  it("rests, longer each time, and is then asked once", async () => {
    const hooks = await newHooks(people);
    let up = false;
    const receiver = await openReceiver(() => ({ status: up ? 200 : 500 }));
    const { id } = await hooks.add(receiver.url);
    const rest = async () => {
      const [state] = await hooks.sql(
        `select failures, extract(epoch from rests_until - now())::float8 as rest,
           extract(microseconds from rests_until)::integer % 1000 as beyond_milliseconds
         from webhook_states`,
      );
      return state;
    };
    await hooks.happen();
    await hooks.delivery(id, { attempts: 1 });
    for (let i = 0; i < 5; i += 1) await hooks.happen();
    for (const [failures, seconds] of [
      [2, 10],
      [3, 20],
      [4, 40],
    ] as const) {
      await hooks.pass(id);
      await expect.poll(async () => (await rest())?.failures).toBe(failures);
      expect((await rest())?.rest).toBeGreaterThan(seconds - 5);
      // The job that looks again comes at the millisecond.
      expect((await rest())?.beyond_milliseconds).toBe(0);
      expect(receiver.received).toHaveLength(failures);
    }
    up = true;
    await hooks.pass(id);
    await expect.poll(() => receiver.received.length).toBe(10);
    await expect.poll(rest).toMatchObject({ failures: 0, rest: null });
  });

  it("for three days is switched off, audited, and its owners are told", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver(() => ({ status: 500 }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    await hooks.delivery(id, { attempts: 1 });
    await hooks.sql("update webhook_states set failing_since = now() - interval '71 hours'");
    await hooks.pass(id);
    await hooks.delivery(id, { attempts: 2 });
    await hooks.settled(id);
    const shown = async () => (await people.get(`/api/v1/webhooks/${id}`, hooks.as)).body;
    expect(await shown()).toMatchObject({ enabled: true });
    await hooks.sql("update webhook_states set failing_since = now() - interval '73 hours'");
    await hooks.pass(id);
    await expect.poll(shown).toMatchObject({ enabled: false, disabled_reason: "failing" });
    expect(
      await hooks.sql("select * from audit_log where action = 'webhook.disabled'"),
    ).toMatchObject([{ actor_kind: "system", target_id: id, detail: { reason: "failing" } }]);
    const { host } = new URL(receiver.url);
    await expect
      .poll(async () => (await people.mailsTo(hooks.owner.account.email)).at(-1)?.text)
      .toContain(`The webhook at ${host} was disabled`);

    // What was waiting goes out when somebody has switched it on again; what happened meanwhile doesn't.
    await hooks.happen("Meanwhile");
    const again = await people.patch(`/api/v1/webhooks/${id}`, {
      ...hooks.as,
      body: { enabled: true },
    });
    expect(again.body).toMatchObject({ enabled: true, disabled_reason: null, failing_since: null });
    const [, , , ...none] = receiver.received;
    expect(none).toEqual([]);
    await hooks.pass(id);
    await expect.poll(() => receiver.received.length).toBe(4);
    expect(receiver.received.some(({ body }) => body.includes("Meanwhile"))).toBe(false);
  });

  it("by 410 is switched off at once", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver(() => ({ status: 410 }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    const shown = async () => (await people.get(`/api/v1/webhooks/${id}`, hooks.as)).body;
    await expect.poll(shown).toMatchObject({ enabled: false, disabled_reason: "gone" });
    await hooks.happen();
    expect(receiver.received).toHaveLength(1);
  });
});

describe("while a tenant is suspended", () => {
  it("its deliveries wait", async () => {
    const hooks = await newHooks(people);
    let up = false;
    const receiver = await openReceiver(() => ({ status: up ? 200 : 500 }));
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    await hooks.delivery(id, { attempts: 1 });
    await people.suspend(hooks.tenant);
    up = true;
    await hooks.sql("update webhook_states set rests_until = null");
    await hooks.sql("update webhook_deliveries set due_at = now()");
    await hooks.wake(id);
    // Another tenant's go out meanwhile.
    const other = await newHooks(people);
    const theirs = await other.add(receiver.url);
    await other.happen();
    await other.delivery(theirs.id, { state: "delivered" });
    expect(receiver.received).toHaveLength(2);
    await people.app.tenants.resume(hooks.tenant.id);
    await hooks.delivery(id, { state: "delivered" });
  });
});

describe("redelivery", () => {
  it("sends an event once more, as a delivery of its own with the same id", async () => {
    const hooks = await newHooks(people);
    const receiver = await openReceiver();
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    const first = await hooks.delivery(id, { state: "delivered" });
    const path = `/api/v1/webhooks/${id}/deliveries/${first.id}/redeliver`;
    const again = await people.post(path, hooks.as);
    expect(again.status).toBe(201);
    expect(again.body).toMatchObject({ event_id: first.event_id, state: "waiting", attempts: 0 });
    expect(again.body.id).not.toBe(first.id);
    await expect.poll(() => receiver.received.length).toBe(2);
    const [one, two] = receiver.received;
    expect(two?.body).toBe(one?.body);
    expect(two?.headers["webhook-id"]).toBe(one?.headers["webhook-id"]);
    const other = await hooks.add(receiver.url);
    const there = `/api/v1/webhooks/${other.id}/deliveries/${first.id}/redeliver`;
    expect((await people.post(there, hooks.as)).body.code).toBe("delivery_not_found");
    await people.patch(`/api/v1/webhooks/${id}`, { ...hooks.as, body: { enabled: false } });
    expect((await people.post(path, hooks.as)).body.code).toBe("webhook_disabled");
  });
});

it("what is older than 30 days is deleted", async () => {
  const hooks = await newHooks(people);
  const receiver = await openReceiver();
  const { id } = await hooks.add(receiver.url);
  await hooks.happen("Old");
  await hooks.delivery(id, { state: "delivered" });
  await hooks.sql("update webhook_events set created_at = now() - interval '31 days'");
  await hooks.happen("New");
  await expect.poll(() => receiver.received.length).toBe(2);
  await hooks.cleanUp();
  await expect.poll(async () => (await hooks.deliveries(id)).length).toBe(1);
});

it("what is old is looked for once a day, for as long as there are events, and of no other tenant", async () => {
  const [hooks, idle] = [await newHooks(people), await newHooks(people)];
  const waiting = (of: typeof hooks) =>
    people.app.withPlatform("a test", async ({ control }) => {
      const { rows } = await sql<{ hours: number }>`
        select round(extract(epoch from due_at - now()) / 3600)::int as hours
        from control.jobs
        where queue = ${of.tenant.id} and job = 'webhooks.clean-up' and state in ('held', 'ready')`.execute(
        control,
      );
      return rows.map(({ hours }) => hours);
    });
  const receiver = await openReceiver();
  const { id } = await hooks.add(receiver.url);
  await idle.add(receiver.url);
  for (const name of ["one", "two"]) await hooks.happen(name);
  await expect.poll(() => receiver.received.length).toBe(2);
  expect([await waiting(hooks), await waiting(idle)]).toEqual([[24], []]);
  const due = () =>
    people.app.withPlatform("a test", ({ control }) =>
      sql`update control.jobs set due_at = now() - interval '1 second'
        where queue = ${hooks.tenant.id} and state = 'held'`.execute(control),
    );
  await due();
  await hooks.wake(id);
  await expect.poll(() => waiting(hooks)).toEqual([24]);
  await hooks.sql("update webhook_events set created_at = now() - interval '31 days'");
  await due();
  await hooks.wake(id);
  await expect.poll(() => waiting(hooks)).toEqual([]);
});
