/**
 * Which hosts a server in development answers for. There much is open to anybody (captured mails, making
 * tenants), and a page of any site could reach it by a name of its own that leads to 127.0.0.1 (DNS
 * rebinding). A browser sends that name as the host, so a server that answers only for names it knows
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
  /** Those of PUBLIC_URL and APP_URL. */
  readonly ownHosts: readonly string[];
  readonly isRegistered: (hostname: string) => MaybePromise<boolean>;
}

/** @throws hostNotAllowed (or the promise rejects with it), invalidHost */
export type AdmitHost = (request: { readonly host: string }) => MaybePromise<void>;

export function createDevelopmentHosts(options: DevelopmentHostsOptions): AdmitHost {
  const domains = ["localhost", options.baseDomain];
  const own = new Set(options.ownHosts);
  const isKnown = (hostname: string): boolean =>
    // Nobody can have an address lead elsewhere.
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
