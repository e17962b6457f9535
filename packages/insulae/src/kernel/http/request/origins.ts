/**
 * Which pages may use the API: those of its own origin, those in the platform's list, and at a
 * tenant's host those in the lists of the tenant and of the host, and of the tenant's other hosts.
 *
 * Origins are compared whole (RFC 6454): scheme, host and port; never a suffix, pattern or
 * wildcard. A tenant's list applies only where the host names the tenant: a preflight has neither a
 * token nor `X-Tenant`, so at a host of the platform the tenant is not yet known.
 */
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import { type HostSettings, hostSettingsOf } from "../../model/host-settings.ts";
import type { Tenant } from "../../model/tenant.ts";

/** `own`: a page of this very host. `allowed`: of another origin that is in a list. */
export type OriginVerdict = "own" | "allowed" | "foreign";

export interface Origins {
  /**
   * Classifies a page's `origin` for the API at `host`; a WebSocket handshake from `foreign` is
   * refused.
   *
   * @param origin the header `Origin` as received
   * @param host the header `Host`
   * @throws invalidHost
   */
  classify(origin: string, host: string): MaybePromise<OriginVerdict>;
  /**
   * Whether `classify` would say `allowed`, as far as is in memory. Looks nothing up, never throws.
   */
  isKnown(origin: string, host: string): boolean;
}

interface TenantHosts {
  /** Tenants' hosts use its scheme and port. */
  readonly baseUrl: string;
  readonly baseDomain: string;
}

export interface OriginsOptions extends Omit<TenantHosts, "baseUrl"> {
  readonly baseUrl: () => string;
  /** `CORS_ORIGINS` */
  readonly platform: readonly string[];
  /** Development only: whether pages of this machine, on any port, are allowed. */
  readonly localPages?: boolean;
  /** The tenant that a host names. */
  readonly findTenant: (host: string) => MaybePromise<Tenant | undefined>;
  /** The same, if that tenant is in memory. @throws invalidHost */
  readonly findKnownTenant: (host: string) => Tenant | undefined;
}

/**
 * An origin in the canonical form that browsers send: lower case, no default port, no path.
 *
 * @returns undefined for anything but a web page's origin, including `null`
 * @example canonicalOrigin("HTTPS://App.Example.com:443/") === "https://app.example.com"
 */
export function canonicalOrigin(text: string): string | undefined {
  if (text.length > 300 || !/^https?:\/\/[^\s/?#@*\\]+\/?$/i.test(text)) return undefined;
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

/** Whether the origin is on this machine. @param origin in canonical form */
export const isLocal = (origin: string): boolean =>
  /^https?:\/\/(([a-z0-9-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(origin);

/** The origins of a tenant's hosts and in its own list. */
export function originsOfTenant(
  tenant: Tenant,
  { baseUrl, baseDomain }: TenantHosts,
): ReadonlySet<string> {
  const { protocol, port } = new URL(baseUrl);
  const { cors_origins: own } = tenant.settings;
  const hosts = [...tenant.hosts, `${tenant.slug}.${baseDomain}`];
  return canonicalSet([
    ...(Array.isArray(own) ? own.filter((item) => typeof item === "string") : []),
    ...hosts.map((host) => `${protocol}//${host}${port && `:${port}`}`),
  ]);
}

export function createOrigins(options: OriginsOptions): Origins {
  const { findTenant, findKnownTenant } = options;
  const listed = canonicalSet(options.platform);
  const isPlatforms = (origin: string): boolean =>
    listed.has(origin) || (options.localPages === true && isLocal(origin));
  const { protocol } = new URL(options.baseUrl());
  // Keyed by the tenant's object, which the catalogue replaces on every change.
  let lists = new WeakMap<Tenant, ReadonlySet<string>>();
  let listedAt = options.baseUrl();
  const hostLists = new WeakMap<HostSettings, ReadonlySet<string>>();

  const listOf = (tenant: Tenant): ReadonlySet<string> => {
    const baseUrl = options.baseUrl();
    // The port of tenants' hosts is known once the server listens.
    if (baseUrl !== listedAt) lists = new WeakMap();
    listedAt = baseUrl;
    const known = lists.get(tenant);
    if (known) return known;
    const made = originsOfTenant(tenant, { ...options, baseUrl });
    lists.set(tenant, made);
    return made;
  };

  const hostListOf = (tenant: Tenant, host: string): ReadonlySet<string> => {
    const settings = tenant.hostSettings && hostSettingsOf(tenant, host);
    if (!settings?.corsOrigins) return none;
    const known = hostLists.get(settings);
    if (known) return known;
    const made = canonicalSet(settings.corsOrigins);
    hostLists.set(settings, made);
    return made;
  };

  const allows = (tenant: Tenant | undefined, origin: string, host: string): boolean =>
    // To strangers, a suspended tenant looks like one that does not exist.
    tenant?.status === "active" &&
    (listOf(tenant).has(origin) || hostListOf(tenant, host).has(origin));

  return {
    classify(header, host) {
      const origin = canonicalOrigin(header);
      if (origin === undefined) return "foreign";
      if (isOwn(origin, host, protocol)) return "own";
      if (isPlatforms(origin)) return "allowed";
      return chain(findTenant(host), (tenant) =>
        allows(tenant, origin, host) ? "allowed" : "foreign",
      );
    },
    isKnown(header, host) {
      const origin = canonicalOrigin(header);
      if (origin === undefined || isOwn(origin, host, protocol)) return false;
      if (isPlatforms(origin)) return true;
      try {
        return allows(findKnownTenant(host), origin, host);
      } catch {
        return false; // not a valid host
      }
    },
  };
}

const none: ReadonlySet<string> = new Set();

const canonicalSet = (origins: readonly string[]): ReadonlySet<string> =>
  new Set(origins.map(canonicalOrigin).filter((origin) => origin !== undefined));

/**
 * Whether this host served the page, over https or over the server's own protocol: behind a proxy,
 * the connection says little about the scheme.
 */
const isOwn = (origin: string, host: string, protocol: string): boolean =>
  origin === canonicalOrigin(`https://${host}`) ||
  origin === canonicalOrigin(`${protocol}//${host}`);
