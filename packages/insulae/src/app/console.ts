/** The web console, a package of its own (`@insulae/console`): where it is, and where it answers. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../config/config.ts";
import { createConsoleFiles } from "../kernel/http/console/console-files.ts";
import { createConsoleHosts } from "../kernel/http/console/console-hosts.ts";
import type { ConsoleOptions } from "../kernel/http/console/console-routes.ts";
import { chain, type MaybePromise } from "../kernel/lib/maybe-promise.ts";
import { canonicalHost } from "../kernel/net/hostname.ts";
import type { Logger } from "../kernel/telemetry/log.ts";

interface ConsolePackage {
  /** Where its build is. */
  readonly dist: string;
  /** Where its sources are, in a checkout; undefined: it is built. */
  readonly sources: string | undefined;
}

/**
 * In production nothing is built, so a checkout has a console only if that was done before.
 *
 * @returns undefined if it is not installed
 */
export function findConsole(
  env: Config["env"],
  manifest = findManifest(),
): ConsolePackage | undefined {
  if (manifest === undefined) return undefined;
  const dist = dirname(manifest);
  const sources = dirname(dist);
  const mayBuild = env !== "production" && existsSync(join(sources, "build/build.ts"));
  if (mayBuild) return { dist, sources };
  return existsSync(manifest) ? { dist, sources: undefined } : undefined;
}

function findManifest(): string | undefined {
  try {
    return fileURLToPath(import.meta.resolve("@insulae/console/manifest.json"));
  } catch {
    return undefined;
  }
}

interface Hosts {
  readonly isPlatformHost: (host: string) => MaybePromise<boolean>;
  readonly findTenant: (host: string) => MaybePromise<object | undefined>;
}

/** What the HTTP server is to serve at `/console`; undefined: nothing. */
export function consoleFor(
  { console: mode, baseUrl, baseDomain, env }: Config,
  { isPlatformHost, findTenant }: Hosts,
  found = findConsole(env),
): ConsoleOptions | undefined {
  if (mode === "off" || !found) return undefined;
  const path = `${new URL(baseUrl).pathname.replace(/\/$/, "")}/console/`;
  return {
    path,
    find: createConsoleFiles({ folder: found.dist, path, mayChange: found.sources !== undefined }),
    isServedAt: createConsoleHosts({
      ...{ mode, isPlatformHost },
      isBelowBaseDomain: (host) => canonicalHost(host).endsWith(`.${baseDomain}`),
      hasTenant: (host) => chain(findTenant(host), (tenant) => tenant !== undefined),
    }),
    isHome: env !== "production",
  };
}

/** Says where links in e-mails lead if nothing answers there. */
export function warnOfLinks({ console: mode, appUrl, baseUrl, env }: Config, log: Logger): void {
  const isUnset = appUrl === baseUrl || appUrl === `${baseUrl}/console`;
  if (!isUnset || (mode !== "off" && findConsole(env))) return;
  log.warn(
    { app_url: appUrl },
    `E-mails link to ${appUrl}, where no pages are: set APP_URL to your front end, or CONSOLE=platform`,
  );
}
