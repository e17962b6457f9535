/** Sending and running jobs, in tenants of each isolation. */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import pg from "pg";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { until } from "../../testing/until.ts";
import { feature } from "../feature/feature.ts";
import { job, platformJob } from "../feature/job.ts";
import { PermanentFailure } from "../job-worker/worker.ts";
import { type Isolation, isolations, type Tenant } from "../model/tenant.ts";

interface Ran {
  readonly note: string;
  readonly tenant: string | undefined;
  readonly scope: string | undefined;
  readonly attempt: number;
}

const ran: Ran[] = [];
const note = job("notes.note", {
  data: Type.Object({ note: Type.String() }),
  backoffSeconds: 0,
  async run(data, { tenant, db, job: { attempt }, log }) {
    const [row] = await db.sql<{ id: string }>`select app.current_tenant_id() as id`;
    ran.push({ note: data.note, tenant: tenant.id, scope: row?.id, attempt });
    log.info("noted");
    if (data.note.startsWith("poison")) throw new Error("it is poisonous");
    if (data.note.startsWith("hopeless")) throw new PermanentFailure("there is no hope");
    if (data.note.startsWith("stumble") && attempt < 3) throw new Error("it stumbled");
    return { length: data.note.length };
  },
});
const sweep = platformJob("notes.sweep", {
  data: Type.Object({ note: Type.String() }),
  async run(data, { platform, job: { attempt } }) {
    ran.push({ note: data.note, tenant: undefined, scope: undefined, attempt });
    return platform.tenants.count({});
  },
});
const stranger = job("notes.stranger", { run: async () => {} });
const notes = feature("notes", { jobs: [note, sweep] });

let people: TestPeople;
/** Past everything, to see what there is. */
let database: pg.Client;
const tenants = new Map<Isolation, Tenant>();
beforeAll(async () => {
  people = await openTestPeople({ features: [notes] });
  database = new pg.Client({ connectionString: people.app.config.databaseUrl });
  await database.connect();
  for (const isolation of isolations) {
    tenants.set(isolation, await people.newTenant({ isolation }));
  }
});
afterAll(async () => {
  await database?.end();
  await people?.close();
});

const tenantOf = (isolation: Isolation): Tenant => {
  const tenant = tenants.get(isolation);
  if (!tenant) throw new Error(`no tenant with isolation ${isolation}`);
  return tenant;
};
const runs = (text: string) => ran.filter((run) => run.note === text);
const row = async (id: string) => {
  const { rows } = await database.query<{
    state: string;
    result: unknown;
    error: unknown;
    queue: string;
  }>("select state, result, error, queue from control.jobs where id = $1", [id]);
  return rows[0];
};
const reached = (id: string, state: string) =>
  until(`the job is ${state}`, async () => {
    const found = await row(id);
    return found?.state === state && found;
  });
const outboxOf = (tenant: Tenant) => people.onTenant(tenant, (db) => db.sql`select id from outbox`);
const outboxEmpties = (tenant: Tenant) =>
  until("the outbox is empty", async () => (await outboxOf(tenant)).length === 0);

describe.each(isolations)("a job of a tenant with isolation %s", (isolation) => {
  it("runs in the tenant's scope, and keeps its result", async () => {
    const [tenant, text] = [tenantOf(isolation), randomUUID()];
    const id = await people.app.withTenant(tenant, ({ jobs }) => jobs.send(note, { note: text }));
    expect(await reached(id, "completed")).toMatchObject({
      queue: tenant.id,
      result: { length: 36 },
    });
    expect(runs(text)).toEqual([{ note: text, tenant: tenant.id, scope: tenant.id, attempt: 1 }]);
  });

  it("that is sent in a transaction runs if that commits", async () => {
    const [tenant, text] = [tenantOf(isolation), randomUUID()];
    const id = await people.app.withTenant(tenant, ({ db, jobs }) =>
      db.transaction().execute((tx) => jobs.send(note, { note: text }, { tx })),
    );
    await reached(id, "completed");
    expect(runs(text)).toHaveLength(1);
    await outboxEmpties(tenant);
  });

  it("that is sent in a transaction does not exist if that is rolled back", async () => {
    const [tenant, text] = [tenantOf(isolation), randomUUID()];
    let id = "";
    const sending = people.app.withTenant(tenant, ({ db, jobs }) =>
      db.transaction().execute(async (tx) => {
        id = await jobs.send(note, { note: text }, { tx });
        throw new Error("rolled back");
      }),
    );
    await expect(sending).rejects.toThrow("rolled back");
    // One that is sent after it has been passed on: the first would have been as well.
    const later = await people.app.withTenant(tenant, ({ db, jobs }) =>
      db.transaction().execute((tx) => jobs.send(note, { note: "later" }, { tx })),
    );
    await reached(later, "completed");
    expect(await row(id)).toBeUndefined();
    expect(runs(text)).toEqual([]);
  });
});

describe("a job", () => {
  it("that was sent in a part of a transaction which was taken back does not exist", async () => {
    const tenant = tenantOf("pool");
    const [kept, lost] = await people.app.withTenant(tenant, ({ db, jobs }) =>
      db.transaction().execute(async (tx) => {
        await sql`savepoint part`.execute(tx);
        const inner = await jobs.send(note, { note: "taken back" }, { tx });
        await sql`rollback to savepoint part`.execute(tx);
        return [await jobs.send(note, { note: "kept" }, { tx }), inner] as const;
      }),
    );
    await reached(kept, "completed");
    expect(await row(lost)).toBeUndefined();
  });

  it("is sent in a transaction of its own tenant only", async () => {
    const [a, b] = [tenantOf("pool"), tenantOf("schema")];
    const sending = people.app.withTenant(a, ({ db }) =>
      db
        .transaction()
        .execute((tx) =>
          people.app.withTenant(b, ({ jobs }) => jobs.send(note, { note: "wrong" }, { tx })),
        ),
    );
    await expect(sending).rejects.toThrow("does not belong to the tenant");
    const outside = people.app.withTenant(a, ({ db, jobs }) =>
      jobs.send(note, { note: "no transaction" }, { tx: db }),
    );
    await expect(outside).rejects.toThrow("needs a transaction");
  });

  it("that fails is tried again, and then parked with the reason", async () => {
    const tenant = tenantOf("pool");
    const send = (text: string) =>
      people.app.withTenant(tenant, ({ jobs }) => jobs.send(note, { note: text }));
    const stumbling = await send("stumble");
    await reached(stumbling, "completed");
    expect(runs("stumble").map(({ attempt }) => attempt)).toEqual([1, 2, 3]);

    const poisonous = await send("poison");
    expect(await reached(poisonous, "parked")).toMatchObject({ error: "it is poisonous" });
    expect(runs("poison")).toHaveLength(6);
  });

  it("for which there is no hope is parked at once", async () => {
    const id = await people.app.withTenant(tenantOf("pool"), ({ jobs }) =>
      jobs.send(note, { note: "hopeless" }),
    );
    await reached(id, "parked");
    expect(runs("hopeless")).toHaveLength(1);
  });

  it("waits until its time", async () => {
    const at = new Date(Date.now() + 300);
    const id = await people.app.withTenant(tenantOf("pool"), ({ jobs }) =>
      jobs.send(note, { note: "in time" }, { after: at }),
    );
    await reached(id, "completed");
    expect(Date.now()).toBeGreaterThanOrEqual(at.getTime());
  });

  it("of a key is not added while another waits", async () => {
    const after = new Date(Date.now() + 3_600_000);
    const send = (key: string, tenant: Tenant) =>
      people.app.withTenant(tenant, ({ jobs }) => jobs.send(note, { note: key }, { key, after }));
    const [a, b] = [tenantOf("pool"), tenantOf("schema")];
    const first = await send("k", a);
    const second = await send("k", a);
    const other = await send("k2", a);
    const others = await send("k", b);
    expect(await row(first)).toMatchObject({ state: "held" });
    expect(await row(second)).toBeUndefined();
    expect(await row(other)).toMatchObject({ state: "held" });
    expect(await row(others)).toMatchObject({ state: "held" });
  });

  it("has data of its shape, and is declared by a feature", async () => {
    await people.app.withTenant(tenantOf("pool"), async ({ jobs }) => {
      await expect(jobs.send(note, { note: 1 } as never)).rejects.toThrow("must be string");
      await expect(jobs.send(stranger, {})).rejects.toThrow("not among any feature's jobs");
    });
    expect(() => job("nameless", { run: async () => {} })).toThrow("use feature.what-it-does");
  });

  it("of a suspended tenant does not run until the tenant is active again", async () => {
    const tenant = await people.newTenant();
    await people.suspend(tenant);
    const id = await people.app.withTenant(tenant, ({ jobs }) =>
      jobs.send(note, { note: "suspended" }),
    );
    const other = await people.app.withTenant(tenantOf("pool"), ({ jobs }) =>
      jobs.send(note, { note: "other" }),
    );
    await reached(other, "completed");
    expect(await row(id)).toMatchObject({ state: "ready" });
    await people.app.tenants.resume(tenant.id);
    await reached(id, "completed");
  });

  it("of the platform runs once, and in a transaction of the control plane if that commits", async () => {
    const platform = people.app.jobs;
    await reached(await platform.send(sweep, { note: "swept" }), "completed");
    expect(runs("swept")).toHaveLength(1);
    const sending = people.onPlatform(({ control }) =>
      control.transaction().execute(async (tx) => {
        await platform.send(sweep, { note: "not swept" }, { tx });
        throw new Error("rolled back");
      }),
    );
    await expect(sending).rejects.toThrow("rolled back");
    const { rows } = await database.query(
      "select from control.jobs where data->>'note' = 'not swept'",
    );
    expect(rows).toEqual([]);
  });
});
