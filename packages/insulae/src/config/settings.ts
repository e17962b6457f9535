/** The configuration as features, hooks and applications see it: without secrets. */
import type { Config } from "./config.ts";

/** Available only to the installation and the services that need them. */
const secret = [
  "masterSecret",
  "jwtSecret",
  "adminPassword",
  "databaseUrl",
  "databaseDirectUrl",
  "redisUrl",
  "smtp",
  "metricsToken",
  "tracing",
] as const satisfies readonly (keyof Config)[];

export type Settings = Omit<Config, (typeof secret)[number] | "aws"> & {
  readonly aws: Omit<Config["aws"], "credentials">;
};

export function settingsOf(config: Config): Settings {
  const hidden = new Set<string>([...secret, "aws"]);
  const { credentials: _credentials, ...aws } = config.aws;
  // Copy getters, not values: `baseUrl` and `appUrl` change when the server listens.
  const shown = Object.entries(Object.getOwnPropertyDescriptors(config));
  const settings = Object.fromEntries(shown.filter(([name]) => !hidden.has(name)));
  return Object.freeze(Object.defineProperties({ aws }, settings)) as Settings; // all but the names above
}
