import { feature } from "../../kernel/feature/feature.ts";
import { capturedMailRoutes, mailRoutes } from "./mails.routes.ts";

/** The delivery status of e-mails. */
export const mails = feature("mails", { routes: mailRoutes });

/**
 * The captured e-mails, readable by everybody who can reach the server. Whoever reads them can sign
 * in as anybody, so they are a feature of their own that production servers don't have.
 */
export const capturedMails = feature("captured-mails", { routes: capturedMailRoutes });
