import { type Config, loadConfig } from "../config/config.ts";

export interface FollowingPort {
  readonly config: Config;
  /** Sets the actual port. */
  readonly moveTo: (port: number) => void;
}

/**
 * The configuration of an app that may listen on another port than the configured one, or on any
 * free one: `baseUrl` and `appUrl` follow it, unless PUBLIC_URL and APP_URL are set. So compute
 * values from them on use, and don't store them.
 *
 * @throws ConfigError
 */
export function followPort(
  env: Readonly<Record<string, string | undefined>>,
  overrides: Partial<Config> = {},
): FollowingPort {
  const loaded = loadConfig(env, overrides);
  let urls: Pick<Config, "baseUrl" | "appUrl"> = loaded;
  const config = Object.freeze({
    ...loaded,
    get baseUrl() {
      return urls.baseUrl;
    },
    get appUrl() {
      return urls.appUrl;
    },
  });
  return {
    config,
    moveTo: (port) => {
      urls = loadConfig(env, { ...overrides, port });
    },
  };
}
