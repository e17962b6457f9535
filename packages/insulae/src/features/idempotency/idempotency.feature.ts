import { feature } from "../../kernel/feature/feature.ts";

/** The table behind the header `Idempotency-Key`, kept with each tenant's data. */
export const idempotency = feature<{ idempotency_keys: object }>("idempotency", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["idempotency_keys"],
});
