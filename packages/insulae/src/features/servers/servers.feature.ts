import { feature } from "../../kernel/feature/feature.ts";
import { serverRoutes } from "./servers.routes.ts";

/** The PostgreSQL servers that tenants are placed on. For platform administrators. */
export const servers = feature("servers", { routes: serverRoutes });
