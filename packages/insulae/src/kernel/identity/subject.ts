import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { Principal } from "./principal.ts";

/**
 * Whom something of the control plane is about: a user of a tenant, or (without a tenant) an
 * account.
 */
export type Subject =
  | { readonly tenantId: TenantId; readonly id: UserId }
  | { readonly tenantId: null; readonly id: AccountId };

/** Who calls. */
export const idOf = (principal: Principal): Subject =>
  principal.kind === "tenant"
    ? { tenantId: principal.tenantId, id: principal.id }
    : { tenantId: null, id: principal.id };

/** As a row holds it. */
export const subjectOf = (row: {
  readonly tenant_id: TenantId | null;
  readonly subject_id: string;
}): Subject =>
  // What kind of id it is follows from whether there is a tenant.
  ({ tenantId: row.tenant_id, id: row.subject_id }) as Subject;
