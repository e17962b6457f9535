/**
 * Which pages may use the API: those of its own origin, those of the platform's list, and at a
 * tenant's host those of the tenant's own list, of that host's list, and of its other hosts.
 *
 * Origins are compared whole (RFC 6454): scheme, host and port, never a suffix, a pattern or a
 * wildcard. A tenant's list counts where the host names the tenant, and only there: a browser asks
 * before it sends a token or `X-Tenant` (the preflight has neither), so at a host of the platform
 * nobody knows yet whose list would count.
 */
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import { type HostSettings, hostSettingsOf } from "../../model/host-settings.ts";
import type { Tenant } from "../../model/tenant.ts";

/** `own`: a page of this very host. `allowed`: of another origin that is on a list. */
export type OriginVerdict = "own" | "allowed" | "foreign";

export interface Origins {
  /**
   * What a page of `origin` is to the API at `host`. A WebSocket handshake asks the same, and is
   * refused where the answer is `foreign`.
   *
   * @param origin the header `Origin` as it came. @param host the header `Host`.
   * @throws invalidHost
   */
  classify(origin: string, host: string): MaybePromise<OriginVerdict>;
  /** Whether `classify` says `allowed`, as far as memory can tell: it looks nothing up and never throws. */
  isKnown(origin: string, host: string): boolean;
}

/** Where tenants' hosts are. */
interface TenantHosts {
  /** Its scheme and port are those of the tenants' hosts as well. */
  readonly baseUrl: string;
  readonly baseDomain: string;
}

export interface OriginsOptions extends Omit<TenantHosts, "baseUrl"> {
  readonly baseUrl: () => string;
  /** `CORS_ORIGINS` */
  readonly platform: readonly string[];
  /** Whether pages of this machine, on any port, are allowed as well: for development. */
  readonly localPages?: boolean;
  /** The tenant that a host names. */
  readonly findTenant: (host: string) => MaybePromise<Tenant | undefined>;
  /** The same, if that tenant is in memory. @throws invalidHost */
  readonly findKnownTenant: (host: string) => Tenant | undefined;
}

/**
 * An origin in the one form that browsers send it in: lower case, no default port, no path.
 *
 * @returns undefined for anything that is no origin of a web page, `null` included.
 * @example canonicalOrigin("HTTPS://App.Example.com:443/") === "https://app.example.com"
 */
export function canonicalOrigin(text: string): string | undefined {
  if (text.length > 300 || !/^https?:\/\/[^\s/?#@*\\]+\/?$/i.test(text)) return undefined;
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

/** Whether it is of this machine. @param origin in canonical form */
export const isLocal = (origin: string): boolean =>
  /^https?:\/\/(([a-z0-9-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(origin);

/** The origins of a tenant's hosts, and those on its own list. */
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
  // By the tenant's object: the catalogue makes a new one when anything of the tenant changes.
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
    // A tenant that is suspended looks to strangers like one that does not exist.
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
        return false; // the host is none
      }
    },
  };
}

const none: ReadonlySet<string> = new Set();

const canonicalSet = (origins: readonly string[]): ReadonlySet<string> =>
  new Set(origins.map(canonicalOrigin).filter((origin) => origin !== undefined));

/**
 * The page was served by this host, over https, or over whatever the server is reached by: behind a
 * proxy the connection itself says little about the scheme.
 */
const isOwn = (origin: string, host: string, protocol: string): boolean =>
  origin === canonicalOrigin(`https://${host}`) ||
  origin === canonicalOrigin(`${protocol}//${host}`);
