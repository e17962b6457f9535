/**
 * Where passkeys may be made and used (WebAuthn's relying parties), from configuration only: the
 * platform's own pages, and the hosts of a tenant.
 *
 * A tenant's host is good for the tenant's own users, those with a password of their own. For accounts
 * there is the platform's site alone: a custom domain is in its owner's hands, who could point it at a
 * server of theirs and have a passkey that was made there answer a challenge for the whole account.
 */
import type { Settings } from "../../config/settings.ts";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Site } from "../../kernel/identity/factors/passkeys.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";

type Configured = Pick<Settings, "appUrl" | "baseUrl" | "baseDomain">;

/** The platform's first. @param tenant of users with a password of their own. */
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

/** The one whose page sends the request; the platform's, if it is no page of any. */
export function siteFor(
  config: Configured,
  tenant: Tenant | undefined,
  { headers }: Pick<RequestInfo, "headers">,
): Site {
  const sites = sitesOf(config, tenant);
  return sites.find(({ origins }) => origins.includes(String(headers.origin))) ?? sites[0];
}
