/** A process is killed while it commits: both the row and the job are there, or neither (attack 72). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../app/app.ts";
import type { TestApp as App } from "../../testing/test-app.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { until } from "../../testing/until.ts";
import { isolations, type Tenant } from "../model/tenant.ts";

const child = fileURLToPath(new URL("../../testing/send-jobs-in-child.ts", import.meta.url));

let app: App;
let database: pg.Client;
const tenants: Tenant[] = [];
beforeAll(async () => {
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  database = new pg.Client({ connectionString: app.config.databaseUrl });
  await database.connect();
  for (const isolation of isolations) {
    tenants.push(await app.tenants.create({ key: `t_${isolation}`, name: "A tenant", isolation }));
  }
});
afterAll(async () => {
  await database?.end();
  await app?.close();
});

/** Lets a process write and send, and kills it so many milliseconds later. */
async function killAfter(ms: number): Promise<void> {
  const work = { config: app.config, tenants: tenants.map(({ id }) => id) };
  const sending = spawn(process.execPath, [child, JSON.stringify(work)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(sending.stdout, "data");
  await sleep(ms); // So that the kill falls somewhere in its work.
  sending.kill("SIGKILL");
  await once(sending, "close");
}

const marks = async () => (await database.query("select from control.outbox_marks")).rowCount;

const contactsOf = async ({ id }: Tenant): Promise<string[]> =>
  app.withTenant(id, async ({ db }) => {
    const rows = await db.sql<{ id: string }>`select id from contacts`;
    return rows.map((row) => row.id).sort();
  });
const jobsOf = async ({ id }: Tenant): Promise<string[]> => {
  const { rows } = await database.query<{ contact: string }>(
    "select data->>'contact_id' as contact from control.jobs where queue = $1",
    [id],
  );
  return rows.map(({ contact }) => contact).sort();
};

describe("when a process is killed around its commits", () => {
  it.each([20, 150, 300])("after %d ms, each row has its job, and each job its row", async (ms) => {
    await killAfter(ms);
    expect(await marks()).toBe(tenants.length);
    await database.query("update control.outbox_marks set until = now()");
    // The next node looks for what was left.
    const log = pino({ level: "silent" });
    const next = await createApp({ env: {}, config: app.config, log });
    try {
      await until("no mark is left", async () => (await marks()) === 0);
    } finally {
      await next.close();
    }
    for (const tenant of tenants) {
      const contacts = await contactsOf(tenant);
      expect(contacts.length).toBeGreaterThan(0);
      expect(await jobsOf(tenant)).toEqual(contacts);
    }
  });
});
