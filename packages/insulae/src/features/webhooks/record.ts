import type { QueryExecutorProvider } from "kysely";
import type { RecordedEvent } from "../../kernel/events.ts";
import type { TenantJobs } from "../../kernel/jobs/jobs.ts";
import { wake } from "./pass.ts";
import { insertEvent } from "./webhooks.queries.ts";

/** Writes an event down in the transaction of the change, for whoever wants it by then. */
export async function recordEvent(
  jobs: TenantJobs,
  event: RecordedEvent,
  tx: QueryExecutorProvider,
): Promise<void> {
  for (const webhook of await insertEvent(tx, event)) await wake(jobs, webhook, tx);
}
