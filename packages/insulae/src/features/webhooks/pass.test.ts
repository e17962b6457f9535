/** Passes side by side: of one tenant, of several nodes. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { TestPeople } from "../../testing/test-people.ts";
import { newHooks, openReceiver, openWebhookPeople } from "./receiver-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openWebhookPeople();
});
afterAll(() => people?.close());

describe("receivers that do not answer", () => {
  it("hold up neither the tenant's other webhooks nor another tenant's, however many they are", async () => {
    const [slow, other] = [await newHooks(people), await newHooks(people)];
    const silent = await openReceiver(() => undefined);
    const quick = await openReceiver();
    const dead = [];
    const theirs = await other.add(quick.url);
    for (let i = 0; i < 12; i += 1) dead.push(await slow.add(`${silent.url}/${i}`));
    for (let i = 0; i < 6; i += 1) await slow.happen();
    const asked = () => new Set(silent.received.map(({ url }) => url)).size;
    await expect.poll(asked, { timeout: 10_000 }).toBe(12);
    await other.happen();
    await other.delivery(theirs.id, { state: "delivered" });
    const own = await slow.add(quick.url);
    await slow.happen();
    await slow.delivery(own.id, { state: "delivered" });
    // All that while: each is asked four things at once at most, and nobody has given up.
    expect(silent.received.length).toBeLessThanOrEqual(4 * 12);
    const atWork = await slow.sql("select from webhook_states where pass_by is not null");
    expect(atWork.length).toBeGreaterThanOrEqual(12);
    for (const { id } of dead) await people.delete(`/api/v1/webhooks/${id}`, slow.as);
  });

  it("of many tenants take no places from anybody", async () => {
    const silent = await openReceiver(() => undefined);
    const quick = await openReceiver();
    const bystander = await newHooks(people);
    const { id } = await bystander.add(quick.url);
    // More than there are places for jobs.
    const slow = await Promise.all(Array.from({ length: 12 }, () => newHooks(people)));
    for (const hooks of slow) await hooks.add(silent.url);
    await Promise.all(slow.map((hooks) => hooks.happen()));
    await expect.poll(() => silent.received.length, { timeout: 10_000 }).toBe(12);
    await bystander.happen();
    await bystander.delivery(id, { state: "delivered" });
    for (const hooks of slow) {
      expect(await hooks.sql("select from webhook_states where pass_by is not null")).toHaveLength(
        1,
      );
    }
  });

  it.each([
    ["failed", "failures = 1"],
    ["were slow", "slow = true"],
  ])("and %s are asked two at a time, also where three passes begin at once", async (_, before) => {
    const hooks = await newHooks(people);
    const silent = await openReceiver(() => undefined);
    const dead: string[] = [];
    for (const name of ["a", "b", "c"]) dead.push((await hooks.add(`${silent.url}/${name}`)).id);
    await hooks.sql(`update webhook_states set ${before}`);
    const held = `
      select from pg_stat_activity
      where datname = current_database() and pid in (select pid from pg_locks where not granted)`;
    await people.onTenant(hooks.tenant, (db) =>
      db.transaction().execute(async (tx) => {
        await sql`select from webhook_states for update`.execute(tx);
        await hooks.happen();
        // All three jobs wait for this transaction to end.
        await expect.poll(async () => (await hooks.sql(held)).length).toBe(3);
      }),
    );
    const atWork = "select from webhook_states where pass_by is not null";
    const waiting = "select from webhook_states where rests_until is not null";
    await expect.poll(async () => (await hooks.sql(waiting)).length).toBe(1);
    expect(await hooks.sql(atWork)).toHaveLength(2);
    // Whoever has not failed waits for none of them.
    const { id } = await hooks.add((await openReceiver()).url);
    await hooks.happen();
    await hooks.delivery(id, { state: "delivered" });
    expect(await hooks.sql(`${atWork} and ${before}`)).toHaveLength(2);
    for (const id of dead) await people.delete(`/api/v1/webhooks/${id}`, hooks.as);
  });
});

it("a receiver that takes seconds to answer 200 is slow, and not any more once it answers at once", async () => {
  const hooks = await newHooks(people);
  const now = performance.now.bind(performance);
  let later = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + later);
  onTestFinished(() => clock.mockRestore());
  const receiver = await openReceiver((_, count) => {
    if (count === 1) later += 6_000;
    return { status: 200 };
  });
  const { id } = await hooks.add(receiver.url);
  const slow = async () => {
    await hooks.delivery(id, { state: "delivered" });
    await hooks.settled(id);
    return hooks.sql("select slow, failures, rests_until is not null as rests from webhook_states");
  };
  await hooks.happen();
  expect(await slow()).toEqual([{ slow: true, failures: 0, rests: true }]);
  await hooks.happen();
  await hooks.pass(id);
  expect(await slow()).toEqual([{ slow: false, failures: 0, rests: false }]);
});

describe("a process that dies in a pass", () => {
  it("leaves what it had not sent to whoever takes its job over; a late finisher changes nothing", async () => {
    const hooks = await newHooks(people);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const receiver = await openReceiver(async (_, count) => {
      if (count === 1) await held;
      return { status: count === 1 ? 500 : 200 };
    });
    const { id } = await hooks.add(receiver.url);
    await hooks.happen();
    await expect.poll(() => receiver.received.length).toBe(1);
    // As if the lease had ended.
    await hooks.sql("update webhook_states set pass_until = now()");
    await hooks.wake(id);
    await hooks.delivery(id, { state: "delivered" });
    release();
    const atWork = sql`select from control.jobs where state = 'running' and queue = ${hooks.tenant.id}`;
    const jobs = () => people.onPlatform(({ control }) => atWork.execute(control));
    await expect.poll(async () => (await jobs()).rows.length).toBe(0);
    const states = await hooks.sql("select pass_by, failures from webhook_states");
    expect(states).toEqual([{ pass_by: null, failures: 0 }]);
    expect(await hooks.deliveries(id)).toMatchObject([{ state: "delivered", attempts: 1 }]);
  });
});
