import { feature } from "../../kernel/feature/feature.ts";
import { capturedMailRoutes, mailRoutes } from "./mails.routes.ts";

/** What became of the mails. */
export const mails = feature("mails", { routes: mailRoutes });

/**
 * The captured mails, for everybody who can reach the server. Whoever reads them can become anybody,
 * so it is a feature of its own, which no server in production has.
 */
export const capturedMails = feature("captured-mails", { routes: capturedMailRoutes });
