/**
 * The WebAuthn relying parties where passkeys may be created and used, from configuration only: the
 * platform's own pages and a tenant's hosts.
 *
 * A tenant's host serves only the tenant's own users, those with a password of their own. Accounts
 * use the platform's site alone: the owner of a custom domain could point it at another server and
 * use a passkey created there to answer a challenge for the whole account.
 */
import type { Settings } from "../../config/settings.ts";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Site } from "../../kernel/identity/factors/passkeys.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";

type Configured = Pick<Settings, "appUrl" | "baseUrl" | "baseDomain">;

/** The platform's site first. @param tenant the tenant of a user with their own password */
export function sitesOf(
  { appUrl, baseUrl, baseDomain }: Configured,
  tenant: Tenant | undefined,
): readonly [Site, ...Site[]] {
  const app = new URL(appUrl);
  const base = new URL(baseUrl);
  const rpId = app.hostname;
  const isBelow = base.hostname === rpId || base.hostname.endsWith(`.${rpId}`);
  const origins = [...new Set([app.origin, ...(isBelow ? [base.origin] : [])])];
  const hosts = tenant ? [...tenant.hosts, `${tenant.slug}.${baseDomain}`] : [];
  return [
    { rpId, origins },
    ...hosts
      .filter((host) => host !== rpId)
      .map((host) => ({
        rpId: host,
        origins: [new URL(`${base.protocol}//${host}${base.port && `:${base.port}`}`).origin],
      })),
  ];
}

/** The site whose page sent the request; the platform's if none matches. */
export function siteFor(
  config: Configured,
  tenant: Tenant | undefined,
  { headers }: Pick<RequestInfo, "headers">,
): Site {
  const sites = sitesOf(config, tenant);
  return sites.find(({ origins }) => origins.includes(String(headers.origin))) ?? sites[0];
}
