import { feature } from "../../kernel/feature/feature.ts";
import { emailDomainRoutes } from "./email-domains.routes.ts";

export { isDomainOf, listJoinable } from "./email-domains.service.ts";

/** The e-mail domains of a tenant, whose people may join it. */
export const emailDomains = feature("email-domains", { routes: emailDomainRoutes });
