import { feature } from "../../kernel/feature/feature.ts";
import { clientCertificateRoutes } from "./client-certificates.routes.ts";

/**
 * A tenant's client certificates (mTLS): what a machine shows in the handshake to say whose it is,
 * and, where it was given permissions, to act.
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
