/** `insulae jobs`, without a separate process for each command. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { stockApplication } from "../app/application.ts";
import { createTestApp } from "../testing/index.ts";
import { parkJob } from "../testing/parked-job.ts";
import type { TestApp as App } from "../testing/test-app.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import type { CommandContext } from "./command.ts";
import { dropJobs, type ListJobsOptions, listJobs, retryJobs } from "./jobs.ts";

let app: App;
let context: CommandContext;
beforeAll(async () => {
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  await app.tenants.create({ key: "acme", name: "Acme" });
  await app.tenants.create({ key: "bank", name: "Bank" });
  context = {
    application: async () => stockApplication,
    applicationFile: undefined,
    json: true,
    env: {
      APP_ENV: "test",
      DATABASE_URL: app.config.databaseUrl,
      MASTER_SECRET: testMasterSecret,
      LOG_LEVEL: "silent",
    },
    note: () => {},
  };
});
afterAll(() => app?.close());

const list = async (options: Partial<ListJobsOptions> = {}) =>
  (await listJobs(context, { limit: 100, ...options })).document as { items: object[] };

it("jobs are listed, retried and dropped, with audit entries", async () => {
  const [one, two] = [await parkJob(app, "acme"), await parkJob(app, "acme")];
  const parked = { tenant: "acme", state: "parked" } as const;
  expect(await list(parked)).toMatchObject({
    items: [
      { id: two, error: "it is broken" },
      { id: one, job: "tests.broken" },
    ],
  });
  expect(await list({ tenant: "bank" })).toEqual({ items: [] });
  expect((await listJobs(context, { limit: 1 })).text).toMatch(/ID +TENANT +JOB +STATE/);

  expect(await retryJobs(context, [one])).toMatchObject({ document: { retried: [one] } });
  expect(await list(parked)).toMatchObject({ items: [{ id: two }] });
  await expect(retryJobs(context, [one])).rejects.toMatchObject({ code: "job_not_parked" });

  expect(await dropJobs(context, [one, two])).toMatchObject({ text: "2 jobs dropped." });
  expect(await list()).toEqual({ items: [] });
  for (const gone of [one, "no-id"]) {
    await expect(dropJobs(context, [gone])).rejects.toMatchObject({ code: "job_not_found" });
  }

  const entries = await app.withPlatform("read the log", ({ control }) =>
    control
      .selectFrom("control.audit_log")
      .select(["action", "target_id"])
      .where("action", "like", "job.%")
      .orderBy("at")
      .execute(),
  );
  expect(entries).toEqual([
    { action: "job.retried", target_id: one },
    { action: "job.dropped", target_id: one },
    { action: "job.dropped", target_id: two },
  ]);
});
