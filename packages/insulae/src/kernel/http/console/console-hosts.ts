import type { Config } from "../../../config/config.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";

export interface ConsoleHostsOptions {
  readonly mode: Config["console"];
  readonly isPlatformHost: (host: string) => MaybePromise<boolean>;
  /** Whether the host is below BASE_DOMAIN, whoever's it is. */
  readonly isBelowBaseDomain: (host: string) => boolean;
  /** Whether an active tenant has the host. */
  readonly hasTenant: (host: string) => MaybePromise<boolean>;
}

/**
 * Where the console answers, by the setting CONSOLE. Below BASE_DOMAIN it makes no difference whether there is a tenant:
 * otherwise a page would tell which there are.
 */
export function createConsoleHosts(
  options: ConsoleHostsOptions,
): (host: string) => MaybePromise<boolean> {
  const { mode, isPlatformHost, isBelowBaseDomain, hasTenant } = options;
  if (mode === "on") return () => true;
  if (mode === "platform") return isPlatformHost;
  if (mode === "off") return () => false;
  return (host) =>
    chain(isPlatformHost(host), (its) => its || isBelowBaseDomain(host) || hasTenant(host));
}
