import { feature } from "../../kernel/feature/feature.ts";
import { clientCertificateRoutes } from "./client-certificates.routes.ts";

/**
 * A tenant's client certificates (mTLS). A registered certificate identifies the connection's
 * tenant; registered with permissions, it is a credential too.
 */
export const clientCertificates = feature("client-certificates", {
  permissions: {
    "client-certificates:read": { description: "See the client certificates", role: "admin" },
    "client-certificates:manage": {
      description: "Register and remove client certificates",
      role: "admin",
    },
  },
  routes: clientCertificateRoutes,
});
