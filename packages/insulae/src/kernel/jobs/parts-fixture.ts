/** A node without HTTP, for tests that operate its queue and outboxes directly. */
import pg from "pg";
import { pino } from "pino";
import { type Installation, openInstallation } from "../../app/installation.ts";
import { createServices } from "../../app/services.ts";
import { coreFeatures } from "../../features/index.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { uuidV7 } from "../lib/uuid.ts";
import type { Tenant } from "../model/tenant.ts";
import { createOutbox, type OutboxTables, type SentJob } from "./outbox.ts";
import { createJobQueue, type NewJob } from "./queue.ts";

export type JobParts = Awaited<ReturnType<typeof openJobParts>>;

export async function openJobParts() {
  const log = pino({ level: "silent" });
  const app = await createTestApp({ features: [], config: { jobsConcurrency: 0 } });
  const installation = await openInstallation(app.config, coreFeatures, log);
  const services = await createServices(installation);
  /** A connection that bypasses everything. */
  const database = new pg.Client({ connectionString: app.config.databaseUrl });
  await database.connect();
  const { control, databaseOf } = installation;
  const others: Installation[] = [];
  let number = 0;

  return {
    app,
    database,
    platform: services.platform,
    log,
    queue: createJobQueue(control),
    /** The queue of another node, over connections of its own. */
    async openQueue() {
      const other = await openInstallation(app.config, coreFeatures, log);
      others.push(other);
      return createJobQueue(other.control);
    },
    newTenant(): Promise<Tenant> {
      number += 1;
      return app.tenants.create({ key: `t_${number}x`, name: "A tenant", isolation: "pool" });
    },
    newJob: (more: Partial<NewJob> = {}): NewJob => ({
      id: uuidV7(),
      job: "tests.test",
      data: {},
      retries: 5,
      backoffSeconds: 0,
      priority: 0,
      ...more,
    }),
    openOutbox: (
      pass: (tenant: Tenant, jobs: readonly SentJob[]) => Promise<void>,
      markSeconds = 120,
    ) =>
      createOutbox({
        control,
        databaseOf: (tenant) => databaseOf<OutboxTables>(tenant),
        findTenant: (id) => services.platform.tenants.find(id),
        pass,
        log,
        markSeconds,
      }),
    async rows<Row = Record<string, unknown>>(text: string, ...values: unknown[]): Promise<Row[]> {
      return (await database.query(text, values)).rows;
    },
    async close() {
      await database.end();
      await services.close();
      for (const each of [...others, installation]) await each.close();
      await app.close();
    },
  };
}
