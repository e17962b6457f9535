/** Redirect targets for browsers. They come from configuration, never from the request alone. */
import type { Settings } from "../../config/settings.ts";
import { canonicalOrigin, originsOfTenant } from "../../kernel/http/request/origins.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { canonicalHost } from "../../kernel/net/hostname.ts";

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
  // Parse as browsers do, so that a path or user name in disguise can't pass for an allowed origin.
  if (!URL.canParse(text)) throw returnRefused();
  const url = new URL(text);
  // Only http(s): a `blob:` URL has the origin of the page that made it but leads to arbitrary
  // content.
  const origin = /^https?:$/.test(url.protocol) ? canonicalOrigin(url.origin) : undefined;
  const known = origin !== undefined && (origins.has(origin) || platform.includes(origin));
  if (!known || url.username || url.password) throw returnRefused();
  return url;
}

const path = (providerId: string) => `/api/v1/auth/oidc/${providerId}/callback`;

/** Where the tenant's provider may send browsers back: PUBLIC_URL, or a host of the tenant. */
export function callbackUrls(config: Configured, tenant: Tenant, providerId: string): string[] {
  return [config.baseUrl, ...hostsOf(config, tenant).values()].map(
    (base) => `${base}${path(providerId)}`,
  );
}

/** The callback at the requested host, because the browser's sign-in cookie exists only there. */
export function callbackUrl(
  config: Configured,
  tenant: Tenant,
  providerId: string,
  host: string,
): string {
  const base = hostsOf(config, tenant).get(canonicalHost(host)) ?? config.baseUrl;
  return `${base}${path(providerId)}`;
}

/** The tenant's hosts, with the scheme and port of PUBLIC_URL. */
function hostsOf({ baseUrl, baseDomain }: Configured, tenant: Tenant): ReadonlyMap<string, string> {
  const { protocol, port } = new URL(baseUrl);
  return new Map(
    [`${tenant.slug}.${baseDomain}`, ...tenant.hosts].map((host) => [
      host,
      `${protocol}//${host}${port && `:${port}`}`,
    ]),
  );
}
