import { feature } from "../../kernel/feature/feature.ts";

/** The counters behind tenants' quotas, kept with each tenant's data. */
export const quotas = feature<{ quota_counters: object }>("quotas", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["quota_counters"],
});
