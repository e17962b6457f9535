import { feature } from "../../kernel/feature/feature.ts";

/** Where jobs are put that are sent in a tenant's transaction. */
export const outbox = feature<{ outbox: object }>("outbox", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["outbox"],
});
