import type { Kysely } from "kysely";
import type { Settings } from "../../config/settings.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { PlatformJobs } from "../jobs/jobs.ts";
import type { Mail } from "../mail/mail.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Storage } from "../storage/storage.ts";
import type { Logger } from "../telemetry/log.ts";
import type {
  DataServices,
  IdentityServices,
  MessagingServices,
  RecordingServices,
  TenancyServices,
} from "./capabilities.ts";
import { openTenantScope, type TenantScope } from "./tenant-scope.ts";

/** The scope of cross-tenant work: the control plane, and each tenant in turn, in its own scope. */
export interface PlatformScope {
  readonly control: Kysely<ControlTables>;
  readonly mail: Mail;
  readonly jobs: PlatformJobs;
  readonly storage: Storage;
  /** Runs `fn` for each active tenant in turn, in the tenant's scope. */
  readonly eachTenant: <Tables>(fn: (scope: TenantScope<Tables>) => Promise<void>) => Promise<void>;
}

/** Ways into tenants' scopes. */
export interface Scopes {
  /** Runs `fn` in the tenant's scope. @param tenant its id, key, slug or number */
  readonly withTenant: <Tables, Result>(
    tenant: Tenant | string,
    fn: (scope: TenantScope<Tables>) => Promise<Result>,
  ) => Promise<Result>;
  /** Runs cross-tenant work. The reason is written to the platform's audit log first. */
  readonly withPlatform: <Result>(
    reason: string,
    fn: (scope: PlatformScope) => Promise<Result>,
  ) => Promise<Result>;
}

interface Configured {
  /** Without secrets. */
  readonly config: Settings;
}

/** The app's services, for start and stop hooks and for the creator of the app. */
export interface AppServices
  extends Configured,
    Scopes,
    Pick<TenancyServices, "tenants" | "hosts" | "servers">,
    Pick<MessagingServices, "jobs">,
    Pick<RecordingServices, "audit"> {}

/**
 * The services of the control plane, for routes that involve no tenant's rows (`context: "core"` or
 * `"any"`): a tenant's handler has no way to another tenant.
 */
export interface Platform
  extends Configured,
    IdentityServices,
    TenancyServices,
    MessagingServices,
    DataServices,
    RecordingServices,
    Scopes {
  /** The server's. */
  readonly version: string;
}

export interface PlatformOptions extends Omit<Platform, keyof Scopes> {
  readonly databaseOf: <Tables>(tenant: Tenant) => TenantDatabase<Tables>;
  readonly log: Logger;
}

export function createPlatform(options: PlatformOptions): Platform {
  const { databaseOf, log, ...services } = options;
  const { control, tenants, audit, mail, jobs, storage } = services;

  const scopeOf = <Tables>(tenant: Tenant): TenantScope<Tables> =>
    openTenantScope<Tables>(services, tenant, databaseOf, log);

  return {
    ...services,
    async withTenant(tenant, fn) {
      return fn(scopeOf(typeof tenant === "string" ? await tenants.get(tenant) : tenant));
    },
    async withPlatform(reason, fn) {
      await audit({ action: "platform.scope_entered", detail: { reason } });
      log.warn({ reason }, "Cross-tenant work");
      return fn({
        control,
        mail,
        jobs,
        storage,
        async eachTenant(work) {
          for (let after: string | undefined; ; ) {
            const page = await tenants.list({ status: "active", after, limit: 200 });
            for (const tenant of page) await work(scopeOf(tenant));
            after = page.at(-1)?.id;
            if (after === undefined) return;
          }
        },
      });
    },
  };
}
