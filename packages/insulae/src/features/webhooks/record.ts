import type { QueryExecutorProvider } from "kysely";
import type { RecordedEvents } from "../../kernel/feature/events.ts";
import type { TenantJobs } from "../../kernel/jobs/jobs.ts";
import { wake } from "./pass.ts";
import { insertEvents } from "./webhooks.queries.ts";

/**
 * Stores events, in the transaction of the change, for the webhooks that want them at that time.
 */
export async function recordEvents(
  jobs: TenantJobs,
  events: RecordedEvents,
  tx: QueryExecutorProvider,
): Promise<void> {
  for (const webhook of await insertEvents(tx, events)) await wake(jobs, webhook, tx);
}
