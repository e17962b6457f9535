import { feature } from "../../kernel/feature/feature.ts";
import { emailDomainRoutes } from "./email-domains.routes.ts";

export { isDomainOf, listJoinable } from "./email-domains.service.ts";

/** E-mail domains whose people may join a tenant without an invitation. */
export const emailDomains = feature("email-domains", { routes: emailDomainRoutes });
