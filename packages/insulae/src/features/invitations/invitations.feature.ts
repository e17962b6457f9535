import { feature } from "../../kernel/feature/feature.ts";
import { acceptRoutes } from "./accept.routes.ts";
import type { InvitationTables } from "./invitations.queries.ts";
import { invitationRoutes } from "./invitations.routes.ts";
import { invitationMail } from "./mails.ts";

export { listWaiting } from "./accept.ts";
export { WaitingInvitation } from "./invitations.schemas.ts";

/** Invites people into the tenant by e-mail. */
export const invitations = feature<InvitationTables>("invitations", {
  dependsOn: ["users", "roles"],
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["invitations"],
  mails: [invitationMail],
  routes: (r) => [...invitationRoutes(r), ...acceptRoutes(r)],
});
