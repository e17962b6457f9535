import type { TenantId } from "../lib/ids.ts";

/** The schema of the data plane in a shared (pool) or in a tenant's own database. */
export const dataSchema = "data";

/** On whose behalf a statement runs, and in which schema that tenant's tables are. */
export interface Scope {
  readonly tenantId: TenantId;
  /** The account that owns the tenant: all that it owns share their connections. Absent: the tenant itself. */
  readonly payer?: string | undefined;
  readonly schema: string;
  /** The only role that may use that schema, where it is not the login; see `roles.ts`. */
  readonly role?: string | undefined;
  /** What the tenant may have, for the triggers that count (`app.quotas`); absent: what it likes. */
  readonly quotas?: string | undefined;
}
