import type { FastifyInstance } from "fastify";
import type { Config } from "../config/config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import type { AppServices } from "../kernel/feature/platform.ts";
import type { Dns } from "../kernel/net/dns.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import type { TenantSettings } from "../kernel/tenancy/tenant-settings.ts";
import type { WorkerLink } from "../kernel/workers/link.ts";
import type { ListenOptions } from "./listen-error.ts";

/** Without features of its own it is the stock server: `standardFeatures`, and the dialects of four other systems. */
export interface AppOptions extends Partial<Application> {
  /** Settings that win over the environment's. */
  readonly config?: Partial<Config>;
  /** Where settings are read from. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * A log of your own. The app then prints nothing besides: no steps, no banner, and no password of an administrator
   * that it made up. Default: short lines on stderr; in production JSON on stdout.
   */
  readonly log?: Logger;
  /** Where proofs of domains are looked up. Default: the machine's name servers. */
  readonly dns?: Dns;
  /** What connects it with the other workers of its node (`insulae start --workers`). */
  readonly worker?: WorkerLink;
}

export interface App extends AppServices {
  /** Serves a request without a port: `await app.inject({ method: "GET", url: "/health" })`. */
  readonly inject: FastifyInstance["inject"];
  /**
   * Makes the first platform administrator, if there is none: by default the one of ADMIN_EMAIL and
   * ADMIN_PASSWORD; without a password, with a new one.
   */
  ensureAdmin(admin?: {
    readonly email?: string | undefined;
    readonly password?: string | undefined;
  }): Promise<FirstAdmin>;
  /**
   * Runs the app as this process: listens, and closes it on SIGINT, SIGTERM and SIGHUP, or when npm, which
   * started it, has ended; then the process ends. A second signal ends it at once. If it can't listen, it is
   * closed.
   *
   * @returns where it listens, once it does. @throws ListenError
   */
  run(options?: ListenOptions): Promise<string>;
  /**
   * Listens, by default as PORT, HOST and TLS_PORT say; nothing of the process changes, and whoever calls this
   * calls `close()`. First it makes the administrator of ADMIN_EMAIL and ADMIN_PASSWORD, if there is none. In
   * development one is made up where these are not set, and a banner shows the password. Without PUBLIC_URL,
   * links, tokens and the API reference have the port that it listens on.
   *
   * @returns where it listens. @throws ListenError that names who has the port, and the setting.
   */
  listen(options?: ListenOptions): Promise<string>;
  /** The port on which the server ends TLS, once it listens there. */
  readonly tlsPort: () => number | undefined;
  /** The port of the log stream alone, once it is listened on. */
  readonly logPort: () => number | undefined;
  /** Has LOG_FILE opened anew, after another program has moved it away. */
  readonly reopenLog: () => void;
  /**
   * Serves for DRAIN_SECONDS more while `/health/ready` says 503, gives what is in flight 25 s (in development
   * 1 s) to finish, and everything back; once, however often it is called.
   */
  close(): Promise<void>;
}

export interface Application {
  /** Shown in the API reference and when the server starts. Default: Insulae. */
  readonly name?: string;
  /** What it offers besides accounts, tenants and users. */
  readonly features: readonly Feature[];
  /** The shape of what is set for each tenant, by `tenantSettings()`. */
  readonly settings?: Pick<TenantSettings<unknown>, "check">;
  /**
   * Names of features that it no longer has. Their tables stay, isolated and erased with their tenant. Without
   * this, the CLI refuses to change databases that have them: another application may own them.
   */
  readonly retired?: readonly string[];
}
