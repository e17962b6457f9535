import { feature } from "../../kernel/feature/feature.ts";

/** Where the sessions of handlers are, with each tenant's data. */
export const sessionData = feature<{ session_data: object }>("session-data", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["session_data"],
});
