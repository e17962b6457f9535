import { CompiledQuery } from "kysely";
import type { App } from "../app/app-api.ts";

/** Creates a parked job of the tenant, as if its retries were used up. @returns its id */
export async function parkJob(
  app: Pick<App, "tenants" | "withPlatform">,
  tenant: string,
): Promise<string> {
  const { id } = await app.tenants.get(tenant);
  return app.withPlatform("park a job", async ({ control }) => {
    const { rows } = await control.executeQuery<{ id: string }>(CompiledQuery.raw(parked, [id]));
    return rows[0]?.id ?? "";
  });
}

/** Unknown to all nodes, so that a node which retries it leaves it for an hour. */
const parked = `
  insert into control.jobs (
    id, queue, state, job, data, backoff_seconds, attempts, started_at, finished_at, error)
  values (
    app.uuid_v7(), $1, 'parked', 'tests.broken', '{}', 3600, 1, now(), now(), 'it is broken')
  returning id`;
