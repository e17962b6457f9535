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

/** Without features of its own it is the stock server: `standardFeatures`, and the dialects. */
export interface AppOptions extends Partial<Application> {
  /** Settings that override the environment's. */
  readonly config?: Partial<Config>;
  /** The source of settings. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * Your own logger. The app then prints nothing else: no steps, no banner, and no generated
   * administrator's password. Default: short lines on stderr; in production JSON on stdout.
   */
  readonly log?: Logger;
  /** For verifying domains. Default: the machine's name servers. */
  readonly dns?: Dns;
  /** The link to the other workers of the node (`insulae start --workers`). */
  readonly worker?: WorkerLink;
}

export interface App extends AppServices {
  /** Serves a request without a port: `await app.inject({ method: "GET", url: "/health" })`. */
  readonly inject: FastifyInstance["inject"];
  /**
   * Creates the first platform administrator, if there is none. Default: ADMIN_EMAIL and
   * ADMIN_PASSWORD; without a password, one is generated.
   */
  ensureAdmin(admin?: {
    readonly email?: string | undefined;
    readonly password?: string | undefined;
  }): Promise<FirstAdmin>;
  /**
   * Runs the app as this process: listens, and closes on SIGINT, SIGTERM and SIGHUP, or when the
   * npm that started it has exited; then the process exits. A second signal exits at once. If it
   * can't listen, it is closed.
   *
   * @returns the URL, once it listens
   * @throws ListenError
   */
  run(options?: ListenOptions): Promise<string>;
  /**
   * Listens, by default on PORT, HOST and TLS_PORT. It leaves signal handling and `close()` to the
   * caller. First it creates the administrator of ADMIN_EMAIL and ADMIN_PASSWORD, if there is none;
   * in development it generates them if they are not set, and a banner shows the password. Without
   * PUBLIC_URL, links, tokens and the API reference use the actual port.
   *
   * @returns the URL
   * @throws ListenError that names the process on the port, and the setting
   */
  listen(options?: ListenOptions): Promise<string>;
  /** The TLS port, once the server listens on it. */
  readonly tlsPort: () => number | undefined;
  /** The separate port of the log stream, once the server listens on it. */
  readonly logPort: () => number | undefined;
  /** Reopens LOG_FILE, after another program has rotated it. */
  readonly reopenLog: () => void;
  /**
   * Keeps serving for DRAIN_SECONDS while `/health/ready` says 503, gives requests in flight 25 s
   * (in development 1 s), and closes everything. Idempotent.
   */
  close(): Promise<void>;
}

export interface Application {
  /** Shown in the API reference, at the start, and in e-mails that no tenant sends. Default: Insulae. */
  readonly name?: string;
  /** The features besides accounts, tenants and users. */
  readonly features: readonly Feature[];
  /** The schema of tenants' settings, by `tenantSettings()`. */
  readonly settings?: Pick<TenantSettings<unknown>, "check">;
  /**
   * Names of features that it no longer has. Their tables stay, isolated and erased with their
   * tenant. Without this, the CLI refuses to change databases that have them, because another
   * application may own them.
   */
  readonly retired?: readonly string[];
}
