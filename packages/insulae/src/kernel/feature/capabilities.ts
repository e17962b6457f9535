/**
 * What the platform can do, by what it is for. Whoever needs something names the groups that they need
 * (`IdentityServices & DataServices`), or the single services of one (`Pick<TenancyServices, "tenants">`).
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
import type { Tenant } from "../model/tenant.ts";
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
  /** Those that browsers show by a cookie. */
  readonly cookieSessions: CookieSessions;
  readonly passwords: Passwords;
  /** What people have beside a password. */
  readonly factors: Factors;
  /** Signing in with outside OpenID Connect providers. */
  readonly oidc: OidcClient;
  /** Tokens that are sent to somebody and work once. */
  readonly oneTimeTokens: OneTimeTokens;
  /** What users and accounts may do at present. */
  readonly authority: Authority;
  /** What permissions there are, and which roles hold them. */
  readonly permissions: Permissions;
  /** Which tenants' the client certificates (mTLS) are. */
  readonly clientCertificates: ClientCertificates;
  /** Makes every node forget what it cached of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (tenant: Tenant, userId?: string) => Promise<void>;
}

/** Tenants, where they are, and under which names. */
export interface TenancyServices {
  readonly tenants: Tenants;
  readonly hosts: Hosts;
  /** The certificates of hosts, for the server that ends TLS itself. */
  readonly certificates: HostCertificates;
  /** What the public DNS says. */
  readonly dns: Dns;
  readonly servers: Servers;
  /** What tenants may have and do by their plans. */
  readonly plans: Plans;
  /** Shows that tenants are isolated. */
  readonly isolation: { readonly probe: ProbeIsolation; readonly report: ReportIsolation };
}

/** What reaches people and other systems, and work that is done later. */
export interface MessagingServices {
  readonly mail: Mail;
  readonly delivery: Delivery;
  readonly jobs: PlatformJobs;
  readonly events: EventService;
  readonly outbound: Outbound;
}

/** The control plane, and what is kept for tenants outside their databases. */
export interface DataServices {
  readonly control: Kysely<ControlTables>;
  /** Where files are. */
  readonly storage: Storage;
  /** What tenants keep to save themselves work. */
  readonly caches: Caches;
  /** What handlers keep of somebody between requests. */
  readonly openSession: OpenSession;
  readonly secretsOf: (tenant: Tenant) => TenantSecrets;
}

/** What is noted and counted of what happens. */
export interface RecordingServices {
  /**
   * Writes to a tenant's audit log or the platform's, outside a request. In one, the handler's own
   * `audit` knows who and from where.
   */
  readonly audit: WriteAudit;
  /** The log's lines, as they are written. */
  readonly logs: LogHub;
  /** Figures about this process, for `/metrics`. */
  readonly metrics: Metrics;
  /** Counts what tenants do. */
  readonly usage: UsageCounts;
}
