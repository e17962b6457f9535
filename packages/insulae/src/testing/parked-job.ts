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
  with made as materialized (select pgboss.create_queue($1, '{"policy": "short"}'))
  insert into pgboss.job (
    id, name, state, data, policy, singleton_key, retry_delay, started_on, completed_on, output
  )
  select app.uuid_v7(), $1, 'failed', '{"job": "tests.broken", "data": {}}', 'short',
    gen_random_uuid()::text, 3600, now(), now(), '{"error": "it is broken"}'
  from made returning id`;
