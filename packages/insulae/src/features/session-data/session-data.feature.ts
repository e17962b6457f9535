import { feature } from "../../kernel/feature/feature.ts";

/** The table of handlers' session data, kept with each tenant's data. */
export const sessionData = feature<{ session_data: object }>("session-data", {
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["session_data"],
});
