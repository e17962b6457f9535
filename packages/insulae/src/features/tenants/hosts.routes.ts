import { type Static, Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { dnsUnavailable } from "../../kernel/net/dns.ts";
import { domainNotProven, invalidDomain } from "../../kernel/tenancy/domain-proof.ts";
import {
  hostNotFound,
  hostTaken,
  reservedHost,
  tenantNotFound,
} from "../../kernel/tenancy/errors.ts";
import { unfitCertificate } from "../../kernel/tls/certificate-pair.ts";
import {
  claimHost,
  listHosts,
  putCertificate,
  releaseHost,
  removeCertificate,
  type TenantHost,
  tooManyHosts,
  verifyHost,
} from "./custom-domains.ts";
import { isPlatformAdmin, tenantFor } from "./tenants.access.ts";
import { Hostname, TenantParams, TenantView, viewOf } from "./tenants.schemas.ts";

const HostView = Type.Object(
  {
    hostname: Type.String(),
    status: Type.Union([Type.Literal("active"), Type.Literal("pending")], {
      description: "Requests are routed to the tenant once the host is active.",
    }),
    verification: Type.Union(
      [
        Type.Object({ name: Type.String(), type: Type.Literal("TXT"), value: Type.String() }),
        Type.Null(),
      ],
      { description: "The DNS record that proves the host; null if the platform assigned it." },
    ),
    certificate: Type.Union(
      [
        Type.Object({
          fingerprint: Type.String({ description: "SHA-256, hexadecimal." }),
          expires_at: Type.String({ format: "date-time" }),
        }),
        Type.Null(),
      ],
      { description: "The host's certificate, for servers that terminate TLS themselves." },
    ),
  },
  { $id: "Host" },
);

const HostParams = Type.Object({ ...TenantParams.properties, hostname: Hostname });

const CertificateBody = Type.Object({
  certificate: Type.String({
    maxLength: 65_536,
    description: "PEM: the host's certificate, followed by its chain.",
  }),
  private_key: Type.String({
    maxLength: 16_384,
    description: "PEM, without a passphrase. Stored encrypted and never returned.",
  }),
});

const fresh = ({ verification, certificate, ...host }: TenantHost): Static<typeof HostView> => ({
  ...host,
  verification: verification && { ...verification },
  certificate: certificate && { ...certificate },
});

const targetOf = (hostname: string) => ({ type: "host", id: hostname });

export const hostRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/tenants/:id/hosts",
    {
      permission: "authenticated",
      context: "any",
      summary: "Lists a tenant's hosts and unproven claims",
      params: TenantParams,
      response: Type.Object({ items: Type.Array(HostView) }),
      errors: [tenantNotFound],
    },
    async ({ platform, user, params }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      return { items: (await listHosts(platform.control, tenant)).map(fresh) };
    },
  ),

  r.post(
    "/tenants/:id/hosts",
    {
      permission: "authenticated",
      context: "any",
      audit: "host.registered",
      summary: "Assigns or claims a host for a tenant",
      description:
        "Platform administrators assign a host at once (201, the tenant). Owners claim one (202): publish the TXT record named in the response, then call `…/verify`. Requests are routed only after that.",
      params: TenantParams,
      body: Type.Object({ hostname: Hostname }),
      response: { 201: TenantView, 202: HostView },
      errors: [tenantNotFound, hostTaken, reservedHost, invalidDomain, tooManyHosts],
    },
    async ({ platform, user, params, body, status, audit }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      if (isPlatformAdmin(user)) {
        await platform.hosts.register(body.hostname, { tenant: tenant.id });
        await audit({ action: "host.registered", tenant, target: targetOf(body.hostname) });
        return viewOf(await platform.tenants.get(tenant.id));
      }
      status(202);
      const claimed = fresh(await claimHost(platform, tenant, body.hostname));
      await audit({ action: "host.claimed", tenant, target: targetOf(claimed.hostname) });
      return claimed;
    },
  ),

  r.post(
    "/tenants/:id/hosts/:hostname/verify",
    {
      permission: "authenticated",
      context: "any",
      audit: "host.verified",
      summary: "Verifies a host by its DNS record and routes it to the tenant",
      params: HostParams,
      response: HostView,
      errors: [tenantNotFound, hostNotFound, hostTaken, domainNotProven, dnsUnavailable],
    },
    async ({ platform, user, params, audit }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      const verified = fresh(await verifyHost(platform, tenant, params.hostname));
      await audit({ action: "host.verified", tenant, target: targetOf(verified.hostname) });
      return verified;
    },
  ),

  r.delete(
    "/tenants/:id/hosts/:hostname",
    {
      permission: "authenticated",
      context: "any",
      audit: "host.unregistered",
      summary: "Removes a host or a claim from a tenant",
      params: HostParams,
      response: { 204: null },
      errors: [tenantNotFound, hostNotFound],
    },
    async ({ platform, user, params, audit }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      await releaseHost(platform, tenant, params.hostname);
      await audit({ action: "host.unregistered", tenant, target: targetOf(params.hostname) });
    },
  ),

  r.put(
    "/tenants/:id/hosts/:hostname/certificate",
    {
      permission: "authenticated",
      context: "any",
      audit: "host.certificate_given",
      summary: "Sets a host's TLS certificate",
      description:
        "For servers that terminate TLS themselves (`TLS_PORT`). New connections use it within a second, on every node.",
      params: HostParams,
      body: CertificateBody,
      response: HostView,
      errors: [tenantNotFound, hostNotFound, unfitCertificate],
    },
    async ({ platform, user, params, body, audit }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      const pair = { cert: body.certificate, key: body.private_key };
      const host = fresh(await putCertificate(platform, tenant, params.hostname, pair));
      await audit({
        action: "host.certificate_given",
        tenant,
        target: targetOf(host.hostname),
        detail: { ...host.certificate },
      });
      return host;
    },
  ),

  r.delete(
    "/tenants/:id/hosts/:hostname/certificate",
    {
      permission: "authenticated",
      context: "any",
      audit: "host.certificate_removed",
      summary: "Removes a host's TLS certificate",
      params: HostParams,
      response: { 204: null },
      errors: [tenantNotFound, hostNotFound],
    },
    async ({ platform, user, params, audit }) => {
      const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
      await removeCertificate(platform, tenant, params.hostname);
      await audit({
        action: "host.certificate_removed",
        tenant,
        target: targetOf(params.hostname),
      });
    },
  ),
];
