import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { timestamp, uuid } from "../../kernel/feature/fields.ts";
import { wrongContext } from "../../kernel/identity/errors.ts";
import type { Principal, TenantPrincipal } from "../../kernel/identity/principal.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import { dnsUnavailable } from "../../kernel/net/dns.ts";
import { domainNotProven, invalidDomain } from "../../kernel/tenancy/domain-proof.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  alreadyMember,
  permissionNotHeld,
  refuseRole,
  roleAboveOwn,
} from "../users/users.feature.ts";
import {
  claimEmailDomain,
  defaultJoinRole,
  emailDomainExists,
  emailDomainNotFound,
  joinByEmail,
  listEmailDomains,
  publicEmailDomain,
  removeEmailDomain,
  tooManyEmailDomains,
  verifyEmailDomain,
} from "./email-domains.service.ts";

const Domain = Type.String({ minLength: 3, maxLength: 253, examples: ["acme.example"] });
const JoinRole = Type.Union([Type.Literal("user"), Type.Literal("viewer")], {
  description: "The role of users who join by this domain.",
});
const EmailDomain = Type.Object(
  {
    domain: Type.String(),
    role: JoinRole,
    status: Type.Union([Type.Literal("pending"), Type.Literal("verified")]),
    verification: Type.Object({
      name: Type.String(),
      type: Type.Literal("TXT"),
      value: Type.String(),
    }),
    created_at: timestamp,
  },
  { $id: "EmailDomain" },
);
const DomainParams = Type.Object({ domain: Domain });

/** Domains are in the control plane, so the routes run in `any`; only users may call them. */
function memberOf(user: Principal): TenantPrincipal {
  if (user.kind !== "tenant") throw wrongContext();
  return user;
}
const tenantOf = (user: Principal): TenantId => memberOf(user).tenantId;

const target = (id: string) => ({ type: "email_domain", id });

export const emailDomainRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/email-domains",
    {
      permission: "tenants:manage",
      context: "any",
      summary: "Lists the e-mail domains whose people may join the tenant",
      response: Type.Object({ items: Type.Array(EmailDomain) }),
    },
    async ({ platform, user }) => ({
      items: await listEmailDomains(platform.control, tenantOf(user)),
    }),
  ),

  r.post(
    "/email-domains",
    {
      permission: "tenants:manage",
      context: "any",
      impersonators: false,
      audit: "email_domain.claimed",
      summary: "Claims an e-mail domain",
      description:
        "Publish the TXT record named in the response, then call `…/verify`. Keep the record published: it is checked whenever somebody joins.",
      body: Type.Object({ domain: Domain, role: Type.Optional(JoinRole) }),
      response: { 201: EmailDomain },
      errors: [
        publicEmailDomain,
        invalidDomain,
        emailDomainExists,
        tooManyEmailDomains,
        roleAboveOwn,
        permissionNotHeld,
      ],
    },
    async ({ platform, permissions, user, body, audit }) => {
      // Everybody who joins by the domain gets this role, so the caller must be allowed to grant
      // it.
      refuseRole({ permissions, user: memberOf(user) }, body.role ?? defaultJoinRole);
      const claimed = await claimEmailDomain(platform, tenantOf(user), body);
      const { domain, role } = claimed;
      await audit({ action: "email_domain.claimed", target: target(domain), detail: { role } });
      return claimed;
    },
  ),

  r.post(
    "/email-domains/:domain/verify",
    {
      permission: "tenants:manage",
      context: "any",
      impersonators: false,
      audit: "email_domain.verified",
      summary: "Verifies an e-mail domain by its DNS record",
      params: DomainParams,
      response: EmailDomain,
      errors: [emailDomainNotFound, domainNotProven, dnsUnavailable],
    },
    async ({ platform, user, params, audit }) => {
      const verified = await verifyEmailDomain(platform, tenantOf(user), params.domain);
      await audit({ action: "email_domain.verified", target: target(verified.domain) });
      return verified;
    },
  ),

  r.delete(
    "/email-domains/:domain",
    {
      permission: "tenants:manage",
      context: "any",
      audit: "email_domain.removed",
      summary: "Removes an e-mail domain. Users who joined by it stay.",
      params: DomainParams,
      response: { 204: null },
      errors: [emailDomainNotFound],
    },
    async ({ platform, user, params, audit }) => {
      await removeEmailDomain(platform, tenantOf(user), params.domain);
      await audit({ action: "email_domain.removed", target: target(params.domain) });
    },
  ),

  r.post(
    "/tenants/:id/join",
    {
      permission: "authenticated",
      context: "core",
      audit: "membership.joined",
      summary: "Joins a tenant by the domain of your verified e-mail",
      description: "Afterwards, `POST /auth/switch` issues a token for the tenant.",
      params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 63 }) }),
      response: {
        201: Type.Object({ tenant_id: uuid, user_id: uuid, role: JoinRole }, { $id: "Joined" }),
      },
      errors: [tenantNotFound, alreadyMember, domainNotProven, dnsUnavailable],
    },
    async ({ platform, user, params, audit }) => {
      const { tenant, userId, role } = await joinByEmail(platform, user, params.id);
      await audit({
        action: "membership.joined",
        tenant,
        target: { type: "user", id: userId },
        detail: { role },
      });
      return { tenant_id: tenant.id, user_id: userId, role };
    },
  ),
];
