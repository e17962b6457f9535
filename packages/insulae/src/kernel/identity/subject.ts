import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { Principal } from "./principal.ts";

/** The owner of rows in the control plane: a tenant's user, or (without a tenant) an account. */
export type Subject =
  | { readonly tenantId: TenantId; readonly id: UserId }
  | { readonly tenantId: null; readonly id: AccountId };

export const idOf = (principal: Principal): Subject =>
  principal.kind === "tenant"
    ? { tenantId: principal.tenantId, id: principal.id }
    : { tenantId: null, id: principal.id };

/** From a row's columns. */
export const subjectOf = (row: {
  readonly tenant_id: TenantId | null;
  readonly subject_id: string;
}): Subject =>
  // The tenant decides which kind of id it is.
  ({ tenantId: row.tenant_id, id: row.subject_id }) as Subject;
