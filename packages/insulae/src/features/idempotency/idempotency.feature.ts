import { feature } from "../../kernel/feature/feature.ts";

/** What the header `Idempotency-Key` needs, kept with each tenant's data. */
export const idempotency = feature<{ idempotency_keys: object }>("idempotency", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["idempotency_keys"],
});
