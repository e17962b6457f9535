import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { wrongContext } from "../../kernel/identity/errors.ts";
import type { Principal, TenantPrincipal } from "../../kernel/identity/principal.ts";
import { unfitCertificate } from "../../kernel/tls/certificate-pair.ts";
import { permissionNotHeld } from "../users/users.feature.ts";
import { ClientCertificate, NewClientCertificate } from "./client-certificates.schemas.ts";
import {
  clientCertificateExists,
  clientCertificateNotFound,
  listClientCertificates,
  registerClientCertificate,
  removeClientCertificate,
  tooManyClientCertificates,
} from "./client-certificates.service.ts";

/**
 * The registrations are in the control plane, so the routes run in `any`; only users may call them.
 */
function memberOf(user: Principal): TenantPrincipal {
  if (user.kind !== "tenant") throw wrongContext();
  return user;
}

export const clientCertificateRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/client-certificates",
    {
      permission: "client-certificates:read",
      context: "any",
      summary: "Lists the tenant's client certificates and certificate authorities",
      response: Type.Object({ items: Type.Array(ClientCertificate) }),
    },
    async ({ platform, user }) => ({
      items: await listClientCertificates(platform.control, memberOf(user).tenantId),
    }),
  ),

  r.post(
    "/client-certificates",
    {
      permission: "client-certificates:manage",
      context: "any",
      personal: true,
      audit: "client_certificate.registered",
      summary: "Registers a client certificate or a certificate authority",
      description:
        "A connection that presents the certificate belongs to this tenant; requests for another tenant are refused. With scopes, the certificate is a credential too.",
      body: NewClientCertificate,
      response: { 201: ClientCertificate },
      errors: [
        unfitCertificate,
        permissionNotHeld,
        clientCertificateExists,
        tooManyClientCertificates,
      ],
    },
    async ({ platform, user, body, audit }) => {
      const made = await registerClientCertificate(platform, memberOf(user), body);
      const { id, name, kind, fingerprint, scopes } = made;
      await audit({
        action: "client_certificate.registered",
        target: { type: "client_certificate", id },
        detail: { name, kind, fingerprint, scopes },
      });
      return made;
    },
  ),

  r.delete(
    "/client-certificates/:id",
    {
      permission: "client-certificates:manage",
      context: "any",
      audit: "client_certificate.removed",
      summary: "Removes a client certificate. Connections that use it lose access within a second.",
      params: idParams,
      response: { 204: null },
      errors: [clientCertificateNotFound],
    },
    ({ platform, user, params }) =>
      removeClientCertificate(platform, memberOf(user).tenantId, params.id),
  ),
];
