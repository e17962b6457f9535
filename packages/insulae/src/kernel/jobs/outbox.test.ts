import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../testing/until.ts";
import { uuidV7 } from "../lib/uuid.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Outbox, SentJob } from "./outbox.ts";
import { type JobParts, openJobParts } from "./parts-fixture.ts";

let parts: JobParts;
beforeAll(async () => {
  parts = await openJobParts();
});
afterAll(() => parts?.close());

const send = async (outbox: Outbox, tenant: Tenant) => {
  const job: SentJob = {
    id: uuidV7(),
    job: "tests.test",
    data: { n: 1 },
    key: undefined,
    startAfter: undefined,
  };
  await parts.app.withTenant(tenant, ({ db }) =>
    db.transaction().execute((tx) => outbox.write(tenant, job, tx)),
  );
  return job.id;
};
const marksOf = ({ id }: Tenant) =>
  parts.rows<{ until: Date }>("select until from control.outbox_marks where tenant_id = $1", id);
const rowsOf = ({ id }: Tenant) =>
  parts.rows("select id from data.outbox where tenant_id = $1", id);
const emptied = (tenant: Tenant) =>
  until("the outbox is empty", async () => (await rowsOf(tenant)).length === 0);
const ranOut = (mark: { until: Date } | undefined) =>
  until("the mark has run out", () => mark && Date.now() > mark.until.getTime());
const runOut = ({ id }: Tenant) =>
  parts.rows("update control.outbox_marks set until = now() where tenant_id = $1", id);
/** Passes jobs on to where the test sees them. */
const collector = () => {
  const passed: string[] = [];
  return {
    passed,
    pass: async (_: Tenant, jobs: readonly SentJob[]) => {
      passed.push(...jobs.map(({ id }) => id));
    },
  };
};

describe("a tenant's outbox", () => {
  it("is empty again once what was sent has been passed on", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    const outbox = parts.openOutbox(pass);
    const id = await send(outbox, tenant);
    await emptied(tenant);
    expect(passed).toEqual([id]);
    await outbox.close();
    expect(await marksOf(tenant)).toEqual([]);
  });

  it("is marked once for all that is sent in a while", async () => {
    const [tenant, { pass }] = [await parts.newTenant(), collector()];
    const outbox = parts.openOutbox(pass);
    await send(outbox, tenant);
    const marks = await marksOf(tenant);
    expect(marks).toHaveLength(1);
    await Promise.all(Array.from({ length: 10 }, () => send(outbox, tenant)));
    expect(await marksOf(tenant)).toEqual(marks);
    await outbox.close();
  });

  it("is looked into by others once the mark of a process that died has run out", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    const dying = parts.openOutbox(() => Promise.reject(new Error("it dies")));
    const living = parts.openOutbox(pass);
    const id = await send(dying, tenant);
    await dying.close();

    expect(await living.sweep()).toBe(0);
    expect(await rowsOf(tenant)).toEqual([{ id }]);
    await runOut(tenant);
    expect(await living.sweep()).toBe(1);
    expect(passed).toEqual([id]);
    expect(await rowsOf(tenant)).toEqual([]);
    expect(await marksOf(tenant)).toEqual([]);
    await living.close();
  });

  it("is looked into when those who are still writing to it have committed", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    const dying = parts.openOutbox(() => Promise.reject(new Error("it dies")));
    const living = parts.openOutbox(pass);
    let sweeping: Promise<number> | undefined;
    const id = uuidV7();
    await parts.app.withTenant(tenant, ({ db }) =>
      db.transaction().execute(async (tx) => {
        const job = { id, job: "tests.test", data: {}, key: undefined, startAfter: undefined };
        await dying.write(tenant, job, tx);
        await runOut(tenant);
        sweeping = living.sweep();
        // As long as the transaction is open it waits: this is its chance not to.
        expect(await Promise.race([sweeping, sleep(300, "waiting")])).toBe("waiting");
      }),
    );
    await sweeping;
    expect(passed).toContain(id);
    expect(await marksOf(tenant)).toEqual([]);
    await dying.close();
    await living.close();
  });

  it("is not written to under a mark that has run out", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    const outbox = parts.openOutbox(pass, 0.5);
    await parts.rows("begin");
    await parts.rows(
      "select pg_advisory_xact_lock(hashtextextended('insulae outbox ' || $1, 0))",
      tenant.id,
    );
    const sending = send(outbox, tenant);
    const [first] = await until("the outbox is marked", async () => {
      const marks = await marksOf(tenant);
      return marks.length > 0 && marks;
    });
    await ranOut(first);
    await parts.rows("commit");
    const id = await sending;
    const [second] = await marksOf(tenant);
    expect(second?.until.getTime()).toBeGreaterThan(first?.until.getTime() ?? Infinity);
    await until("the job is passed on", () => passed.includes(id));
    await outbox.close();
  });

  it("of a living process is visited by nobody: it takes its marks away", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    const outbox = parts.openOutbox(pass, 0.05);
    await send(outbox, tenant);
    const [mark] = await marksOf(tenant);
    await until("the job is passed on", () => passed.length > 0);
    await emptied(tenant);
    await ranOut(mark);
    expect(await outbox.sweep()).toBe(0);
    expect(await marksOf(tenant)).toEqual([]);
    await outbox.close();
  });

  it("is passed on from as soon as the queue is back", async () => {
    const [tenant, { passed, pass }] = [await parts.newTenant(), collector()];
    let failures = 0;
    const outbox = parts.openOutbox(async (...args) => {
      failures += 1;
      if (failures < 4) throw new Error("the queue is away");
      await pass(...args);
    });
    const id = await send(outbox, tenant);
    await until("the job is passed on", () => passed.includes(id));
    await emptied(tenant);
    await outbox.close();
  });
});
