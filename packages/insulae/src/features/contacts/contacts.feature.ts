import { feature } from "../../kernel/feature/feature.ts";
import type { ContactTables } from "./contacts.queries.ts";
import { contactEvents, contactRoutes } from "./contacts.routes.ts";

export {
  type ContactTables,
  contactSearch,
  createContact,
  deleteContact,
  findContact,
  updateContact,
} from "./contacts.queries.ts";
export { contactNotFound } from "./contacts.routes.ts";

/** The address book: the people and companies that a tenant knows. */
export const contacts = feature<ContactTables>("contacts", {
  permissions: {
    "contacts:read": "See contacts",
    "contacts:write": "Create, change and delete contacts",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["contacts"],
  events: contactEvents,
  routes: contactRoutes,
});
