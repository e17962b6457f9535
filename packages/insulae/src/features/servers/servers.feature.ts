import { feature } from "../../kernel/feature/feature.ts";
import { serverRoutes } from "./servers.routes.ts";

/** The PostgreSQL servers that tenants are placed on, for platform administrators. */
export const servers = feature("servers", { routes: serverRoutes });
