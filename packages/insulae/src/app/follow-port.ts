import { type Config, loadConfig } from "../config/config.ts";

export interface FollowingPort {
  readonly config: Config;
  /** Says which port is listened on. */
  readonly moveTo: (port: number) => void;
}

/**
 * The configuration of an app that may listen on another port than the configured one, or on whichever is
 * free: `baseUrl` and `appUrl` follow it, unless PUBLIC_URL and APP_URL say where they are. What is made of
 * them is therefore made when it is needed, and not kept.
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
