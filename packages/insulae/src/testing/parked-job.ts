import { CompiledQuery } from "kysely";
import type { App } from "../app/app-api.ts";

/** Makes a parked job of the tenant, as if it had failed too often. @returns its id. */
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

/** No node knows such a job, so that whoever tries it again leaves it for an hour. */
const parked = `
  insert into control.jobs (
    id, queue, state, job, data, backoff_seconds, attempts, started_at, finished_at, error)
  values (
    app.uuid_v7(), $1, 'parked', 'tests.broken', '{}', 3600, 1, now(), now(), 'it is broken')
  returning id`;
