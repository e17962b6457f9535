/** Where browsers are sent, all of it from configuration: never where a request alone says. */
import type { Settings } from "../../config/settings.ts";
import { canonicalOrigin, originsOfTenant } from "../../kernel/http/request/origins.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { canonicalHost } from "../../kernel/net/hostname.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";

export const returnRefused = defineError(
  "return_refused",
  400,
  "return_to must be a page of this application: an origin in APP_URL, the tenant's hosts or CORS_ORIGINS",
);

type Configured = Pick<Settings, "appUrl" | "baseUrl" | "baseDomain" | "corsOrigins">;

/** @throws returnRefused */
export function permittedReturn(config: Configured, tenant: Tenant, text: string): URL {
  const origins = originsOfTenant(tenant, config);
  const platform = [config.appUrl, ...config.corsOrigins].map((url) => new URL(url).origin);
  // As browsers read it: what they take for a path or a user's name must not be an origin here.
  if (!URL.canParse(text)) throw returnRefused();
  const url = new URL(text);
  // A `blob:` has the origin of the page that made it, and leads to whatever that page put there.
  const origin = /^https?:$/.test(url.protocol) ? canonicalOrigin(url.origin) : undefined;
  const known = origin !== undefined && (origins.has(origin) || platform.includes(origin));
  if (!known || url.username || url.password) throw returnRefused();
  return url;
}

const path = (providerId: string) => `/api/v1/auth/oidc/${providerId}/callback`;

/** Where a tenant's provider may send browsers back: here, or at a host of the tenant. */
export function callbackUrls(config: Configured, tenant: Tenant, providerId: string): string[] {
  return [config.baseUrl, ...hostsOf(config, tenant).values()].map(
    (base) => `${base}${path(providerId)}`,
  );
}

/** The one at the host that is asked: the cookie of the sign-in is there and nowhere else. */
export function callbackUrl(
  config: Configured,
  tenant: Tenant,
  providerId: string,
  host: string,
): string {
  const base = hostsOf(config, tenant).get(canonicalHost(host)) ?? config.baseUrl;
  return `${base}${path(providerId)}`;
}

/** A tenant's hosts, with the scheme and port of PUBLIC_URL. */
function hostsOf({ baseUrl, baseDomain }: Configured, tenant: Tenant): ReadonlyMap<string, string> {
  const { protocol, port } = new URL(baseUrl);
  return new Map(
    [`${tenant.slug}.${baseDomain}`, ...tenant.hosts].map((host) => [
      host,
      `${protocol}//${host}${port && `:${port}`}`,
    ]),
  );
}
