import { feature } from "../../kernel/feature/feature.ts";
import { moveRoutes } from "./moves.routes.ts";

export { viewOfMove } from "./moves.routes.ts";

/** Moves of tenants between isolations and servers. For platform administrators. */
export const moves = feature("moves", { routes: moveRoutes });
