import { feature } from "../../kernel/feature/feature.ts";

/** The table for jobs that are enqueued in a tenant's transaction. */
export const outbox = feature<{ outbox: object }>("outbox", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["outbox"],
});
