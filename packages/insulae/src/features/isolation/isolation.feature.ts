import { feature } from "../../kernel/feature/feature.ts";
import { isolationRoutes } from "./isolation.routes.ts";

/** Shows that tenants are isolated: probes with two of them, and a report on every placement. */
export const isolation = feature("isolation", { routes: isolationRoutes });
