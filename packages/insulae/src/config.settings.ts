/** The configuration as features, hooks and applications see it: without what opens something. */
import type { Config } from "./config.ts";

/** They stay with the installation, and with the services that need them. */
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
  const hidden = new Set<string>(secret);
  const { credentials: _credentials, ...aws } = config.aws;
  const shown = Object.entries({ ...config, aws }).filter(([name]) => !hidden.has(name));
  return Object.freeze(Object.fromEntries(shown)) as Settings; // all but the names above
}
