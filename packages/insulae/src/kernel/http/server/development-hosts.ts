/**
 * Restricts a development server to hosts that it knows. In development much is public (captured
 * mails, creating tenants), and any site could reach it under a name that resolves to 127.0.0.1
 * (DNS rebinding). A browser sends that name as the host, so a server that refuses unknown names
 * can't be reached this way.
 */
import { isIP } from "node:net";
import { defineError } from "../../lib/errors.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import { badHostHeader, canonicalHost } from "../../net/hostname.ts";

export const hostNotAllowed = defineError(
  "host_not_allowed",
  421,
  "In development the server answers only for hosts that it knows. Use localhost, or set PUBLIC_URL or BASE_DOMAIN.",
);

export interface DevelopmentHostsOptions {
  readonly baseDomain: string;
  /** The hosts of PUBLIC_URL and APP_URL. */
  readonly ownHosts: readonly string[];
  readonly isRegistered: (hostname: string) => MaybePromise<boolean>;
}

/** @throws hostNotAllowed (or rejects with it), invalidHost */
export type AdmitHost = (request: { readonly host: string }) => MaybePromise<void>;

export function createDevelopmentHosts(options: DevelopmentHostsOptions): AdmitHost {
  const domains = ["localhost", options.baseDomain];
  const own = new Set(options.ownHosts);
  const isKnown = (hostname: string): boolean =>
    // IP addresses can't be rebound.
    isIP(hostname) !== 0 ||
    own.has(hostname) ||
    domains.some((domain) => hostname === domain || hostname.endsWith(`.${domain}`));

  return ({ host }) => {
    const hostname = canonicalHost(host, badHostHeader);
    if (isKnown(hostname)) return undefined;
    return chain(options.isRegistered(hostname), (registered) => {
      if (registered) return;
      throw hostNotAllowed({
        detail: `${hostname} is not a known host. Use localhost, set PUBLIC_URL or BASE_DOMAIN, or register the host.`,
      });
    });
  };
}
