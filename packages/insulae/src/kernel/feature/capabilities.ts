/**
 * The platform's services, grouped by purpose. Code that needs some names the groups
 * (`IdentityServices & DataServices`) or single services (`Pick<TenancyServices, "tenants">`).
 */
import type { Kysely } from "kysely";
import type { WriteAudit } from "../audit/audit.ts";
import type { Caches } from "../cache/cache.ts";
import type { Delivery } from "../delivery/message.ts";
import type { Authority } from "../identity/authority.ts";
import type { ClientCertificates } from "../identity/client-certificates.ts";
import type { CookieSessions } from "../identity/cookie-sessions.ts";
import type { Factors } from "../identity/factors/factors.ts";
import type { OidcClient } from "../identity/oidc.ts";
import type { OneTimeTokens } from "../identity/one-time-tokens.ts";
import type { Passwords } from "../identity/passwords.ts";
import type { Permissions } from "../identity/permissions.ts";
import type { Sessions } from "../identity/sessions.ts";
import type { Tokens } from "../identity/tokens.ts";
import type { PlatformJobs } from "../jobs/jobs.ts";
import type { TenantSecrets } from "../lib/secrets.ts";
import type { Mail } from "../mail/mail.ts";
import type { Diagnosis } from "../model/diagnosis.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Moves } from "../moves/moves.ts";
import type { Dns } from "../net/dns.ts";
import type { Outbound } from "../net/outbound.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { OpenSession } from "../sessions/session.ts";
import type { Storage } from "../storage/storage.ts";
import type { LogHub } from "../telemetry/log-hub.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Hosts } from "../tenancy/hosts.ts";
import type { ProbeIsolation } from "../tenancy/isolation-probes.ts";
import type { ReportIsolation } from "../tenancy/isolation-report.ts";
import type { Plans } from "../tenancy/plans.ts";
import type { Servers } from "../tenancy/servers.ts";
import type { Tenants } from "../tenancy/tenants.ts";
import type { HostCertificates } from "../tls/host-certificates.ts";
import type { UsageCounts } from "../usage/counts.ts";
import type { EventService } from "./events.ts";

/** Who somebody is, and what they may do. */
export interface IdentityServices {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  /** Browsers' sessions. */
  readonly cookieSessions: CookieSessions;
  readonly passwords: Passwords;
  /** Factors besides passwords. */
  readonly factors: Factors;
  /** Sign-in with outside OpenID Connect providers. */
  readonly oidc: OidcClient;
  /** Single-use tokens that are sent to somebody. */
  readonly oneTimeTokens: OneTimeTokens;
  /** The current permissions of users and accounts. */
  readonly authority: Authority;
  /** All permissions, and the roles that hold them. */
  readonly permissions: Permissions;
  /** The tenants that client certificates (mTLS) are registered for. */
  readonly clientCertificates: ClientCertificates;
  /** Clears every node's cache of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (tenant: Tenant, userId?: string) => Promise<void>;
}

/** Tenants, their placement and their names. */
export interface TenancyServices {
  readonly tenants: Tenants;
  readonly hosts: Hosts;
  /** Hosts' certificates, for the server's own TLS. */
  readonly certificates: HostCertificates;
  /** Look-ups in public DNS. */
  readonly dns: Dns;
  readonly servers: Servers;
  /** Moves of tenants from one placement to another. */
  readonly moves: Moves;
  /** Tenants' limits, by plan. */
  readonly plans: Plans;
  /** Shows that tenants are isolated. */
  readonly isolation: { readonly probe: ProbeIsolation; readonly report: ReportIsolation };
  /** Runs the doctor's checks; the last diagnosis is there while a new one is made. */
  readonly examine: (wanted: { readonly again: boolean }) => Promise<{
    readonly last: Diagnosis | undefined;
    readonly isRunning: boolean;
  }>;
}

/** Messages to people and other systems, and background work. */
export interface MessagingServices {
  readonly mail: Mail;
  readonly delivery: Delivery;
  readonly jobs: PlatformJobs;
  readonly events: EventService;
  readonly outbound: Outbound;
}

/** The control plane, and tenants' data outside their databases. */
export interface DataServices {
  readonly control: Kysely<ControlTables>;
  /** File storage. */
  readonly storage: Storage;
  /** Tenants' caches. */
  readonly caches: Caches;
  /** Session data that handlers keep between requests. */
  readonly openSession: OpenSession;
  readonly secretsOf: (tenant: Tenant) => TenantSecrets;
}

/** Records and counts what happens. */
export interface RecordingServices {
  /**
   * Writes to a tenant's or the platform's audit log outside a request. In a request, use the
   * handler's `audit`, which knows the caller.
   */
  readonly audit: WriteAudit;
  /** The live log lines. */
  readonly logs: LogHub;
  /** This process's metrics, for `/metrics`. */
  readonly metrics: Metrics;
  /** Counts tenants' usage. */
  readonly usage: UsageCounts;
}
